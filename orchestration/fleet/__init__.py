"""How a fleet is run: the order of work, worker processes, where the fleet stands."""

__all__: list[str] = []
