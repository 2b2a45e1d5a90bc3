"""Gates on what is decided over the fleet: verdicts, succession, release."""

__all__: list[str] = []
