"""Gates on reports of forecasts: every figure derived again from raw prices."""

__all__: list[str] = []
