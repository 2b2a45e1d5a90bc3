"""The wiring: assets, gates as checks, verified reads, automation. Holds no mathematics."""

__all__: list[str] = []
