"""The layouts in which vendors write prices, recognized by looking at the file."""

__all__: list[str] = []
