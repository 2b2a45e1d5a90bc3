"""One module per group of assets, in the order in which data flows."""

__all__: list[str] = []
