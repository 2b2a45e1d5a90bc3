"""Parts of a batch give the step of the whole, and a record repeats a training to the bit."""

from dataclasses import replace

import numpy as np
import pytest

from ml_assets.mamba import MambaConfig, MambaWeights, train_mamba
from ml_assets.mamba.trainer import Trainer
from ml_assets.training import TrainingError, TrainingRecord
from ml_assets.training.backend import tf
from tests.unit.mamba.sample import QUICK, TINY, augmented

WHOLE, WINDOW, FEATURES = 16, 24, 5
RECIPE = replace(QUICK, batch_size=WHOLE, burn_in=4, learning_rate=1e-2)


def windows(heads):
    """Two batches whose targets are unknown here and there, in some windows altogether."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2 * WHOLE, WINDOW, FEATURES)).astype(np.float32)
    targets = rng.uniform(0.2, 2.0, (2 * WHOLE, WINDOW, heads or 2)).astype(np.float32)
    targets[rng.random(targets.shape[:2]) < 0.3] = np.nan
    targets[3:9] = np.nan
    return X, targets


@pytest.mark.parametrize("heads", [0, 2], ids=["direction", "variance"])
@pytest.mark.parametrize("micro_batch", [8, 5, 4])
def test_parts_of_a_batch_give_the_step_of_the_whole(heads, micro_batch):
    """Without dropout: loss, weights and score up to rounding, although parts know unequal many targets."""
    config = MambaConfig(d_model=8, d_state=4, head_dim=8, dropout=0.0, variance_heads=heads)
    X, targets = windows(heads)
    ends = []
    for size in (WHOLE, micro_batch):
        trainer = Trainer(config, RECIPE, WINDOW, FEATURES, size)
        trainer.reset(1, RECIPE.learning_rate)
        losses = [trainer.epoch(X, targets) for _ in range(2)]
        ends.append(([*losses, *trainer.score(X, targets)], trainer.model.to_arrays()))
    (whole, weights), (parts, others) = ends
    np.testing.assert_allclose(parts, whole, rtol=1e-4)
    for path, values in weights.items():
        np.testing.assert_allclose(others[path], values, rtol=1e-3, atol=2e-5)


RECORDS = [
    TrainingRecord(micro_batch=4, messages=("memory",)),
    TrainingRecord(device="cpu", messages=("cuda",)),
    TrainingRecord(8, "cpu", (("scratch", 1), ("scratch", 2)), ("all", "of", "it")),
]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_repeats_a_training_and_survives_encoding(record):
    recipe = replace(QUICK, epochs=3)
    first = train_mamba(augmented(), TINY, recipe, seed=5, record=record)
    stored = MambaWeights.from_bytes(first.to_bytes())
    assert stored.recovery == record
    again = train_mamba(augmented(), TINY, recipe, seed=5, record=stored.recovery)
    assert again.to_bytes() == first.to_bytes()
    rates = [entry["learning_rate"] for entry in first.history]
    assert rates == [1e-3 / 2 ** min(i, len(record.restarts)) for i in range(3)]


def test_what_goes_wrong_besides_cannot_be_repeated(monkeypatch):
    def out_of_memory(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    monkeypatch.setattr(Trainer, "epoch", out_of_memory)
    with pytest.raises(TrainingError, match=r"cannot be repeated now: ResourceExhaustedError: OOM"):
        train_mamba(augmented(), TINY, QUICK, record=TrainingRecord())
