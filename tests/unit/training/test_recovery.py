"""Recovery of real Keras trainings from faults injected beneath `fit`."""

import errno
import threading

import numpy as np
import pytest

from ml_assets.training import TrainingErrorHandler
from ml_assets.training.backend import keras, tf
from tests.unit.training.nets import data, net, variables

OOM = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
CUDA = tf.errors.InternalError(None, None, "CUDA error: out of luck")


class Fault(keras.callbacks.Callback):
    """Raise `error` at the given epochs, once each."""

    def __init__(self, error, *epochs):
        super().__init__()
        self.error, self.epochs = error, list(epochs)

    def on_train_batch_begin(self, batch, logs=None):
        if self.epochs and self.seen == self.epochs[0]:
            self.epochs.pop(0)
            raise self.error

    def on_epoch_begin(self, epoch, logs=None):
        self.seen = epoch


class Poison(keras.callbacks.Callback):
    """Make a weight NaN in the middle of an epoch: once, or at every attempt."""

    def __init__(self, epoch, *, always=False, at_end=False):
        super().__init__()
        self.epoch, self.left, self.at_end = epoch, 10**6 if always else 1, at_end

    def break_weights(self):
        self.left -= 1
        self.model.layers[-1].bias.assign([np.nan])

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if self.now == self.epoch and batch == 1 and self.left and not self.at_end:
            self.break_weights()

    def on_train_batch_end(self, batch, logs=None):
        if self.now == self.epoch and batch == 1 and self.left and self.at_end:
            self.break_weights()


def test_without_faults_it_is_a_plain_fit():
    X, y = data()
    result = TrainingErrorHandler().train_with_recovery(net(), X, y, epochs=3, verbose=0, shuffle=False)
    plain = net()
    losses = plain.fit(X, y, epochs=3, verbose=0, shuffle=False, batch_size=32).history["loss"]
    assert result["success"] is True
    assert result["history"]["loss"] == losses
    assert (result["epochs_completed"], result["recovery_attempts"], result["stopped_early"]) == (3, 0, False)
    assert (result["error"], result["warnings"], result["device"]) == (None, [], "default")


def test_memory_recovers_at_a_smaller_batch_and_keeps_finished_epochs():
    model, (X, y) = net(), data()
    handler = TrainingErrorHandler(initial_batch_size=32)
    fault = Fault(OOM, 2, 2)
    result = handler.train_with_recovery(model, X, y, epochs=4, verbose=0, callbacks=[fault])
    assert result["success"] is True
    assert (handler.current_batch_size, result["recovery_attempts"]) == (8, 2)
    assert len(result["history"]["loss"]) == result["epochs_completed"] == 4
    assert result["warnings"][0] == "out of memory at batch size 32; went on with 16"


def test_each_training_starts_with_its_own_batch():
    handler = TrainingErrorHandler()
    X, y = data()
    handler.train_with_recovery(net(), X, y, verbose=0, callbacks=[Fault(OOM, 0)])
    assert handler.current_batch_size == 16
    result = handler.train_with_recovery(net(), X, y, verbose=0, batch_size=64)
    assert (result["batch_size"], result["recovery_attempts"]) == (64, 0)


def test_cuda_error_goes_on_with_the_cpu_and_warns(caplog):
    X, y = data()
    result = TrainingErrorHandler().train_with_recovery(
        net(), X, y, epochs=3, verbose=0, callbacks=[Fault(CUDA, 1)]
    )
    assert result["success"] is True
    assert result["device"] == "cpu"
    assert result["epochs_completed"] == 3
    assert "went on with the CPU" in caplog.text
    again = TrainingErrorHandler().train_with_recovery(
        net(), X, y, epochs=3, verbose=0, callbacks=[Fault(CUDA, 1, 1)]
    )
    assert again["success"] is False
    assert "CUDA_VISIBLE_DEVICES=-1" in again["error"]


@pytest.mark.parametrize("at_end", [False, True], ids=["mid-epoch", "after the last loss"])
def test_nan_restarts_from_the_last_good_weights_at_a_lower_rate(at_end, caplog):
    model, (X, y) = net(rate=1e-2), data()
    poison = Poison(2, at_end=at_end)
    result = TrainingErrorHandler().train_with_recovery(model, X, y, epochs=5, verbose=0, callbacks=[poison])
    assert result["success"] is True
    assert result["stopped_early"] is True
    assert "NaN loss detected" in result["stop_reason"]
    assert result["nan_restarts"] == 1
    assert result["learning_rate"] == pytest.approx(1e-3)
    assert len(result["history"]["loss"]) == 5
    assert np.isfinite(result["history"]["loss"]).all()
    assert all(np.isfinite(v).all() for v in variables(model))
    assert "Gradient norms: sequential" in caplog.text


def test_nan_gives_up_after_bounded_restarts_with_the_last_good_weights():
    model, (X, y) = net(), data()
    poison = Poison(1, always=True)
    result = TrainingErrorHandler(max_nan_restarts=2).train_with_recovery(
        model, X, y, epochs=4, verbose=0, callbacks=[poison]
    )
    assert result["success"] is False
    assert (result["nan_restarts"], result["epochs_completed"]) == (2, 1)
    assert "clip" in result["error"]
    assert all(np.isfinite(v).all() for v in variables(model))


def test_a_scheduled_rate_cannot_be_lowered_and_says_so():
    model, (X, y) = net(), data()
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-2, 10, 0.9)
    model.compile(optimizer=keras.optimizers.Adam(schedule), loss="mse")
    result = TrainingErrorHandler().train_with_recovery(
        model, X, y, epochs=2, verbose=0, callbacks=[Poison(1)]
    )
    assert result["success"] is False
    assert "follows a schedule" in result["error"]


def test_unknown_errors_pass_unchanged():
    X, y = data()
    with pytest.raises(ZeroDivisionError):
        TrainingErrorHandler().train_with_recovery(
            net(), X, y, verbose=0, callbacks=[Fault(ZeroDivisionError(), 0)]
        )


def test_a_killed_training_resumes_and_ends_as_if_nothing_had_happened(tmp_path):
    """Resuming at the end of an epoch is exact: weights, moments and epoch come back."""
    X, y = data()
    whole = net()
    TrainingErrorHandler().train_with_recovery(whole, X, y, epochs=6, verbose=0, shuffle=False)
    with pytest.raises(ZeroDivisionError):
        TrainingErrorHandler(checkpoint_dir=tmp_path).train_with_recovery(
            net(), X, y, epochs=6, verbose=0, shuffle=False, callbacks=[Fault(ZeroDivisionError(), 3)]
        )
    model = net(seed=99)
    handler = TrainingErrorHandler(checkpoint_dir=tmp_path)
    result = handler.train_with_recovery(model, X, y, epochs=6, verbose=0, shuffle=False)
    assert (result["resumed_from_epoch"], result["epochs_completed"]) == (3, 6)
    assert len(result["history"]["loss"]) == 6
    for a, b in zip(variables(model), variables(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    assert result["checkpoint"] is None
    assert list(tmp_path.rglob("*.npz")) == [], "a complete training leaves nothing to resume"


def test_other_data_or_another_model_does_not_resume(tmp_path):
    X, y = data()

    def interrupted():
        with pytest.raises(ZeroDivisionError):
            TrainingErrorHandler(checkpoint_dir=tmp_path).train_with_recovery(
                net(), X, y, epochs=4, verbose=0, callbacks=[Fault(ZeroDivisionError(), 2)]
            )

    interrupted()
    handler = TrainingErrorHandler(checkpoint_dir=tmp_path)
    assert handler.train_with_recovery(net(), *data(seed=1), verbose=0)["resumed_from_epoch"] == 0
    wider = keras.Sequential([keras.layers.Dense(1)])
    wider.compile(loss="mse")
    assert handler.train_with_recovery(wider, X, y, verbose=0)["resumed_from_epoch"] == 0
    assert handler.train_with_recovery(net(), X, y, epochs=4, verbose=0)["resumed_from_epoch"] == 2


def test_a_full_disk_in_a_callback_removes_old_checkpoints_and_goes_on(tmp_path):
    X, y = data()
    full = OSError(errno.ENOSPC, "No space left on device")
    handler = TrainingErrorHandler(checkpoint_dir=tmp_path)
    result = handler.train_with_recovery(net(), X, y, epochs=4, verbose=0, callbacks=[Fault(full, 2)])
    assert result["success"] is True
    assert "removed 1 old checkpoints" in result["warnings"][0]
    nothing_to_remove = TrainingErrorHandler().train_with_recovery(
        net(), X, y, epochs=4, verbose=0, callbacks=[Fault(full, 2)]
    )
    assert nothing_to_remove["success"] is False
    assert "Free space" in nothing_to_remove["error"]


def test_it_works_outside_the_main_thread():
    X, y = data()
    results = []
    thread = threading.Thread(
        target=lambda: results.append(TrainingErrorHandler().train_with_recovery(net(), X, y, verbose=0))
    )
    thread.start()
    thread.join()
    assert results[0]["success"] is True


@pytest.mark.parametrize("values", [{"initial_batch_size": 0}, {"min_batch_size": 0}, {"rate_factor": 1.0}])
def test_settings_are_checked(values):
    with pytest.raises(ValueError, match="give"):
        TrainingErrorHandler(**values)
