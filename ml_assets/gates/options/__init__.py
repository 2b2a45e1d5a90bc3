"""Gates on the option networks and on how fast they are served."""

__all__: list[str] = []
