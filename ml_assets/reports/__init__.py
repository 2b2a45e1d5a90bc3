"""Pictures and tables from the results of a run."""

__all__: list[str] = []
