"""Resuming is exact, recovery keeps what it promises, and data of every kind get through."""

import numpy as np
import pytest

from ml_assets.training import TrainingErrorHandler, handle_nan_loss
from ml_assets.training.backend import keras, tf
from ml_assets.training.optimizer import accumulate
from tests.unit.training.nets import data, net, variables
from tests.unit.training.test_recovery import OOM, Fault


class Killed(Exception):  # noqa: N818  it is no error
    """Ends a fit from outside, as a kill would; nothing in the handler knows it."""


class Kill(keras.callbacks.Callback):
    """Raise in the middle of an epoch."""

    def __init__(self, epoch, batch=1):
        super().__init__()
        self.at, self.now = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.now, batch) == self.at:
            raise Killed


def noisy(seed=0, optimizer=None):
    """A net whose training draws random numbers."""
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(8, activation="tanh"), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(optimizer=optimizer or keras.optimizers.AdamW(1e-2), loss="mse", metrics=["mae"])
    return model


def assert_equal_models(a, b):
    for mine, theirs in zip(variables(a), variables(b), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(a.optimizer.variables, b.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))


@pytest.mark.parametrize("options", [{}, {"validation_split": 0.25}, {"sample_weight": np.arange(70.0)}])
def test_a_killed_training_equals_an_undisturbed_one_bit_for_bit(tmp_path, options):
    """With shuffled rows, dropout, moments: killed in the middle of epochs 2 and 4, it ends the same."""
    X, y = data(rows=70)
    options = {"epochs": 6, "verbose": 0, "batch_size": 16, **options}
    whole = noisy()
    expected = TrainingErrorHandler().train_with_recovery(whole, X, y, **options)
    for epoch, seed in ((2, 0), (4, 7)):
        with pytest.raises(Killed):
            TrainingErrorHandler(checkpoint_dir=tmp_path).train_with_recovery(
                noisy(seed), X, y, callbacks=[Kill(epoch)], **options
            )
    model = noisy(seed=9)
    result = TrainingErrorHandler(checkpoint_dir=tmp_path).train_with_recovery(model, X, y, **options)
    assert result["resumed_from_epoch"] == 4
    assert result["history"] == expected["history"]
    assert_equal_models(model, whole)


def test_the_seed_decides_the_order_and_every_row_is_used_once_an_epoch():
    X, y = data(rows=70)

    def trained(seed):
        model = net()
        TrainingErrorHandler(seed=seed).train_with_recovery(model, X, y, epochs=2, verbose=0)
        return variables(model)

    np.testing.assert_array_equal(trained(1)[0], trained(1)[0])
    assert not np.array_equal(trained(1)[0], trained(2)[0])
    seen = []

    class Seen(keras.Sequential):
        def train_step(self, batch):
            tf.py_function(lambda rows: seen.extend(rows.numpy()), [batch[1]], [])
            return super().train_step(batch)

    model = Seen([keras.layers.Dense(1)])
    model.compile(loss="mse")
    rows = np.arange(70, dtype=np.float32)
    TrainingErrorHandler().train_with_recovery(model, X, rows, epochs=3, verbose=0, batch_size=16)
    for epoch in np.reshape(seen, (3, 70)):
        np.testing.assert_array_equal(np.sort(epoch), rows)
    assert not np.array_equal(seen[:70], seen[70:140])


def test_callbacks_that_start_anew_are_named(tmp_path):
    X, y = data()
    with pytest.raises(Killed):
        TrainingErrorHandler(checkpoint_dir=tmp_path).train_with_recovery(
            net(), X, y, epochs=4, verbose=0, callbacks=[Kill(2)]
        )
    stopping = keras.callbacks.EarlyStopping("loss")
    result = TrainingErrorHandler(checkpoint_dir=tmp_path).train_with_recovery(
        net(), X, y, epochs=4, verbose=0, callbacks=[stopping]
    )
    assert "but EarlyStopping start anew" in result["warnings"][0]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_accumulation_equals_the_large_batch(optimizer):
    """Four batches of 8 per step are one batch of 32, moments and count of steps included."""
    X, y = data(rows=64)

    def model():
        made = net()
        made.compile(optimizer=keras.optimizers.get(optimizer), loss="mse")
        return made

    large, small = model(), model()
    for each in (large, small):
        each.fit(X, y, batch_size=32, epochs=2, shuffle=False, verbose=0)
    accumulate(small, 4)
    large.fit(X, y, batch_size=32, epochs=3, shuffle=False, verbose=0)
    small.fit(X, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    for a, b in zip(variables(small), variables(large), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6)
    assert int(small.optimizer.iterations) == int(large.optimizer.iterations) == 10


def test_accumulation_keeps_what_is_excluded_from_weight_decay():
    model = net()
    optimizer = keras.optimizers.AdamW(1e-2, weight_decay=0.5)
    model.compile(optimizer=optimizer, loss="mse")
    X, y = data()
    model.fit(X, y, verbose=0)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    accumulate(model, 2)
    new = model.optimizer
    assert [new._use_weight_decay(v) for v in model.trainable_variables] == [True, False, True, False]


def test_after_running_out_of_memory_the_effective_batch_stays_if_asked(tmp_path):
    X, y = data()
    whole, model = net(), net()
    expected = TrainingErrorHandler().train_with_recovery(whole, X, y, epochs=4, verbose=0)
    handler = TrainingErrorHandler(keep_effective_batch=True, checkpoint_dir=tmp_path)
    options = {"epochs": 4, "verbose": 0}
    result = handler.train_with_recovery(model, X, y, callbacks=[Fault(OOM, 1, 1)], **options)
    assert result["success"] is True
    assert (result["batch_size"], model.optimizer.gradient_accumulation_steps) == (8, 4)
    np.testing.assert_allclose(result["history"]["loss"], expected["history"]["loss"], rtol=1e-4)
    for a, b in zip(variables(model), variables(whole), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    # Killed after the reduction: the next run goes on with the smaller batch and the same steps.
    with pytest.raises(Killed):
        TrainingErrorHandler(keep_effective_batch=True, checkpoint_dir=tmp_path).train_with_recovery(
            net(), X, y, callbacks=[Fault(OOM, 1, 1), Kill(3)], **options
        )
    again = net()
    resumed = TrainingErrorHandler(keep_effective_batch=True, checkpoint_dir=tmp_path)
    second = resumed.train_with_recovery(again, X, y, **options)
    assert (second["resumed_from_epoch"], second["batch_size"]) == (3, 8)
    assert_equal_models(again, model)


def test_an_exploding_loss_stops_and_restarts_lower():
    class Blow(keras.callbacks.Callback):
        left = 1

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2 and self.left:
                self.left -= 1
                weight = self.model.layers[-1].kernel
                weight.assign(weight * 1e4)

    X, y = data()
    result = TrainingErrorHandler().train_with_recovery(net(), X, y, epochs=5, verbose=0, callbacks=[Blow()])
    assert result["success"] is True
    assert result["stop_reason"].startswith("exploding loss detected at epoch 3")
    assert result["nan_restarts"] == 1
    assert max(result["history"]["loss"]) < 100
    assert handle_nan_loss(None, [0.5, 600.0], explosion_factor=1e3)["stopped_early"]
    assert not handle_nan_loss(None, [0.5, 400.0], explosion_factor=1e3)["stopped_early"]


def trees():
    X, y = data()
    inputs = {name: keras.Input((4,), name=name) for name in ("a", "b")}
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs["a"] + inputs["b"]))
    return model, {"a": X, "b": X}, y


@pytest.mark.parametrize("kind", ["dataset", "dict", "steps", "class_weight", "no targets"])
def test_data_of_every_kind_get_through(kind):
    X, y = data()
    model, options = net(), {}
    if kind == "dataset":
        X, y = tf.data.Dataset.from_tensor_slices((X, y)).batch(8), None
    elif kind == "dict":
        model, X, y = trees()
    elif kind == "steps":
        options = {"steps_per_epoch": 2}
    elif kind == "class_weight":
        model, y, options = net(), (y > 0).astype(int), {"class_weight": {0: 1.0, 1: 3.0}}
    else:
        y = None
        model = keras.Sequential([keras.layers.Dense(4)])
    loss = "mse" if kind != "no targets" else None
    if kind == "no targets":
        model.add(keras.layers.ActivityRegularization(l2=0.1))
    model.compile(optimizer="adam", loss=loss)
    result = TrainingErrorHandler().train_with_recovery(model, X, y, epochs=2, verbose=0, **options)
    assert result["success"] is True
    assert len(result["history"]["loss"]) == 2


def test_validation_split_takes_the_last_rows_and_trains_on_the_others():
    X, y = data(rows=40)
    poisoned = y.copy()
    poisoned[30:] = 1e6
    result = TrainingErrorHandler().train_with_recovery(
        net(), X, poisoned, epochs=1, verbose=0, validation_split=0.25
    )
    assert result["history"]["val_loss"][0] > 1e9
    assert result["history"]["loss"][0] < 100
