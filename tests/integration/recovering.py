"""A child program that trains one walk: ``python -m tests.integration.recovering weights ROOT``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ml_assets.prices.simulated import simulate
from tests.integration.project import Market, Project, open_project

__all__ = ["SYMBOL", "prepared"]

SYMBOL = "WALK"


def prepared(root: Path, **settings: Any) -> Any:
    """A project with one walk."""
    market = Market({SYMBOL: simulate("random_walk", 1300, seed=1, symbol=SYMBOL).prices})
    return open_project(root, market, test_days=500, **{"epochs": 3, **settings})


def weights(root: str) -> int:
    """Say when each epoch is over, so that a signal can be sent in the middle of a training."""
    from ml_assets.mamba import fitting

    fit = fitting.Session.fit

    def told(self: fitting.Session, *arguments: Any, **options: Any) -> fitting.Fitted:
        print("training", flush=True)
        return fit(self, *arguments, **options)

    fitting.Session.fit = told  # type: ignore[method-assign]
    with prepared(Path(root), epochs=400) as project:
        return _train(project)


def _train(project: Project) -> int:
    outcome = project.run_symbol(SYMBOL, "mamba_weights")
    print(outcome.reason)
    return 0 if outcome.success else 1


if __name__ == "__main__":
    programs = {f.__name__: f for f in (weights,)}
    sys.exit(programs[sys.argv[1]](*sys.argv[2:]))
