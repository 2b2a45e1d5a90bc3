"""Option chains: quotes, forwards, implied volatilities, and what yesterday's smile says about today."""

__all__: list[str] = []
