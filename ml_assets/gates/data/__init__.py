"""Gates on data: causality, splits, labels, prices."""

__all__: list[str] = []
