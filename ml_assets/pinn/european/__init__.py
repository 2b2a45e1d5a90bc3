"""The network for European options: ansatz, physics, training, Greeks."""

__all__: list[str] = []
