from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from ml_assets.mamba import MambaConfig, MambaModel
from ml_assets.training import TrainingErrorHandler


@pytest.fixture
def training():
    rng = np.random.default_rng(0)
    model = MambaModel(MambaConfig())
    model.compile(optimizer="adam", loss="mse")
    return model, rng.standard_normal((64, 60, 25)).astype("float32"), rng.standard_normal(64)


def test_gpu_oom_recovery(monkeypatch, training, caplog):
    """R6: out of memory every time: batch 32, 16, 8, then a result that says it failed, no exception."""
    tried = []

    def out_of_memory(self, *args, batch_size, **kwargs):
        tried.append(batch_size)
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(tf.keras.Model, "fit", out_of_memory)
    handler = TrainingErrorHandler(initial_batch_size=32)
    result = handler.train_with_recovery(*training)
    assert tried == [32, 16, 8]
    assert handler.current_batch_size == 8
    assert result["recovery_attempts"] == 2
    assert result["success"] is False
    assert "out of memory even at batch size 8" in result["error"]
    assert "lower initial_batch_size, or use a smaller model" in result["error"]
    assert "trying again with 16" in caplog.text


def test_nan_loss_handling(monkeypatch, training, caplog):
    """R6: a NaN loss stops the run, logs norms, and restarts from the last good weights twice at most."""
    model, X, y = training
    starts = []

    def diverges(self, *args, **kwargs):
        starts.append(
            ([np.asarray(w.value).copy() for w in self.weights], float(self.optimizer.learning_rate))
        )
        self.weights[0].assign(np.full(self.weights[0].shape, np.nan))
        return SimpleNamespace(history={"loss": [0.5, 0.3, float("nan"), float("nan")]})

    monkeypatch.setattr(tf.keras.Model, "fit", diverges)
    result = TrainingErrorHandler().train_with_recovery(model, X, y)
    assert result["stopped_early"] is True
    assert "NaN loss detected" in result["stop_reason"]
    assert result["success"] is False
    assert len(starts) == 3, "two restarts, then it gives up"
    assert [rate for _, rate in starts] == pytest.approx([1e-3, 1e-4, 1e-5])
    for weights, _ in starts:
        for first, value in zip(starts[0][0], weights, strict=True):
            np.testing.assert_array_equal(value, first)
    assert all(np.isfinite(np.asarray(w.value)).all() for w in model.weights)
    assert "Gradient norms: mamba_model" in caplog.text
    assert "Lower the learning rate" in caplog.text
