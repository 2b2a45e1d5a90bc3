"""A small Keras model and data for tests of recovery."""

from __future__ import annotations

import numpy as np

from ml_assets.training.backend import keras


def data(rows=64, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, 4)).astype(np.float32)
    return X, X @ np.array([1.0, -2.0, 0.5, 0.0], np.float32)


def net(rate=1e-2, seed=0, **compiled):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="mse", **compiled)
    return model


def variables(model):
    return [np.asarray(w.value).copy() for w in model.weights]
