"""Initial values as the Mamba papers give them, each drawn from a seed of its own."""

from __future__ import annotations

import math
import zlib
from typing import Any

from ml_assets.training.backend import keras

__all__ = ["decay_range", "decay_steps", "derived_seed", "fan_in_uniform", "step_bias"]

ops = keras.ops

_DT_MIN, _DT_MAX = 1e-3, 1e-1


def derived_seed(seed: int | None, name: str) -> int | None:
    """Return the seed of the weight `name`; ``None`` leaves the draw to Keras' global seed."""
    return None if seed is None else zlib.crc32(f"{seed}/{name}".encode())


def fan_in_uniform(fan_in: int, seed: int | None) -> Any:
    """Uniform on ``+-1/sqrt(fan_in)``, PyTorch's default, which the published models started from."""
    return keras.initializers.RandomUniform(-(fan_in**-0.5), fan_in**-0.5, seed=seed)


def step_bias(seed: int | None) -> Any:
    """Bias whose softplus is log-uniform on [1e-3, 1e-1] (Gu & Dao 2023, section 3.6)."""

    def draw(shape: tuple[int, ...], dtype: Any = None) -> Any:
        exponent = keras.random.uniform(shape, math.log(_DT_MIN), math.log(_DT_MAX), dtype=dtype, seed=seed)
        dt = ops.exp(exponent)
        return dt + ops.log(-ops.expm1(-dt))  # inverse of softplus

    return draw


def decay_range(seed: int | None) -> Any:
    """``log`` of a uniform draw on [1, 16]: one decay rate per head (Mamba-2)."""

    def draw(shape: tuple[int, ...], dtype: Any = None) -> Any:
        return ops.log(keras.random.uniform(shape, 1.0, 16.0, dtype=dtype, seed=seed))

    return draw


def decay_steps() -> Any:
    """``log(1..N)`` for every channel (S4D-real, as Mamba-1 uses it)."""

    def fill(shape: tuple[int, ...], dtype: Any = None) -> Any:
        rates = ops.log(ops.cast(ops.arange(1, shape[1] + 1), dtype))
        return ops.tile(rates[None], (shape[0], 1))

    return fill
