"""Serve option prices: one model per process, cached, measured. NumPy only."""

__all__: list[str] = []
