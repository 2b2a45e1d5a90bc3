"""Gates on trained models: their rows, their bytes, where they come from."""

__all__: list[str] = []
