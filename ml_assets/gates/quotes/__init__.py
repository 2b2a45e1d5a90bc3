"""Gates on option quotes and on the walk over them."""

__all__: list[str] = []
