"""Child programs that materialize assets and are disturbed: ``python -m tests.integration.recovering NAME``.

``weights ROOT`` trains the model of one walk, ``little_memory ROOT MEGABYTES`` does so while the address
space is too small for whole batches.
"""

from __future__ import annotations

import resource
import sys
from functools import partial
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


def little_memory(root: str, megabytes: str) -> int:
    """Batches so large that one does not fit, and a part of it does; TensorFlow's own error, no other."""
    from ml_assets.mamba import MambaWeights, TrainingRecipe, recipe
    from ml_assets.training.backend import tf
    from orchestration.assets import training

    train = recipe.train_mamba

    def limited(*arguments: Any, **options: Any) -> MambaWeights:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + int(megabytes) * 2**20, hard))
        try:
            return train(*arguments, **options)
        finally:  # SQLite cannot map its files in what is left
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))

    recipe.train_mamba = limited

    training.TrainingRecipe = partial(  # type: ignore[misc]
        TrainingRecipe, batch_size=4096, jit_compile=False
    )
    tf.constant(1.0) + 1.0  # TensorFlow's own threads and arenas come first
    with prepared(Path(root), epochs=1) as project:
        return _train(project)


def _train(project: Project) -> int:
    outcome = project.run_symbol(SYMBOL, "mamba_weights")
    print(outcome.reason)
    return 0 if outcome.success else 1


if __name__ == "__main__":
    programs = {f.__name__: f for f in (weights, little_memory)}
    sys.exit(programs[sys.argv[1]](*sys.argv[2:]))
