"""From days to rows: features, labels, splits, scaling, windows, augmentation."""

__all__: list[str] = []
