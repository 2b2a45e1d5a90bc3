"""The science: prices, features, models, gates, storage. Knows nothing of Dagster."""

__all__: list[str] = []
