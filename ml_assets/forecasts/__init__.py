"""What is forecast, how, and whether it has skill: folds, reports, verdicts, succession, release, drift.

A folder per target: `direction` of the next return, `variance` over the coming days.
"""

__all__: list[str] = []
