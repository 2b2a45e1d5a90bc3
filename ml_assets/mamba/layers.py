"""The layers of a Mamba model. Each creates every weight in ``build``."""

from __future__ import annotations

from typing import Any

from ml_assets.mamba.config import MambaConfig
from ml_assets.mamba.initializers import decay_range, decay_steps, derived_seed, fan_in_uniform, step_bias
from ml_assets.mamba.scan import selective_scan, selective_scan_last, ssd, ssd_last
from ml_assets.training.backend import keras

__all__ = ["Mamba1Mixer", "MambaBlock", "RMSNorm", "SSDMixer", "State"]

ops = keras.ops
Tensor = Any
Shape = tuple[int | None, ...]
State = tuple[Tensor, Tensor]
"""What a mixer carries from one step to the next: its last inputs and the state of its recurrence."""


def project(x: Tensor, kernel: Tensor) -> Tensor:
    """Return ``x @ kernel`` for (B, L, I) or (B, I), as one flat matrix product (faster under XLA)."""
    if len(x.shape) == 2:
        return ops.matmul(x, kernel)
    flat = ops.matmul(ops.reshape(x, (-1, x.shape[-1])), kernel)
    return ops.reshape(flat, (-1, x.shape[1], kernel.shape[-1]))


def projected_convolution(x: Tensor, kernel: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
    """Depthwise causal convolution of ``x @ kernel``, folded into one matrix product on shifted inputs.

    Parameters
    ----------
    x : tensor (B, L, I)
        Inputs; step t of the result sees steps ``t-K+1 .. t``.
    kernel : tensor (I, D)
        Projection.
    taps : tensor (K, D)
        Convolution, the last tap on the present step.
    bias : tensor (D,)
        Added to every step.

    Returns
    -------
    tensor (B, L, D)
    """
    n_taps, length = taps.shape[0], x.shape[1]
    padded = ops.pad(x, [[0, 0], [n_taps - 1, 0], [0, 0]])
    shifted = ops.concatenate([padded[:, k : k + length] for k in range(n_taps)], axis=-1)
    return project(shifted, _folded(kernel, taps)) + bias


def convolution_step(last: Tensor, kernel: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
    """Last step of :func:`projected_convolution` from the last K inputs, (B, K, I) -> (B, D)."""
    flat = ops.reshape(last, (-1, last.shape[1] * last.shape[2]))
    return ops.matmul(flat, _folded(kernel, taps)) + bias


def _folded(kernel: Tensor, taps: Tensor) -> Tensor:
    """Projection and convolution as one matrix, (K I, D)."""
    return ops.reshape(ops.expand_dims(kernel, 0) * ops.expand_dims(taps, 1), (-1, kernel.shape[-1]))


def rms_normalize(x: Tensor, scale: Tensor) -> Tensor:
    """Divide by the root mean square of the last axis (Zhang & Sennrich 2019, arXiv:1910.07467)."""
    return x * ops.rsqrt(ops.mean(ops.square(x), -1, keepdims=True) + 1e-5) * scale


class RMSNorm(keras.layers.Layer):  # type: ignore[misc]
    """Root-mean-square normalization of the last axis with a learned scale."""

    def build(self, input_shape: Shape) -> None:
        """Create the scale."""
        self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer="ones")

    def call(self, x: Tensor) -> Tensor:
        """Normalize (..., d) -> (..., d)."""
        return rms_normalize(x, self.scale)


class SSDMixer(keras.layers.Layer):  # type: ignore[misc]
    """Mamba-2 mixer: projection, causal convolution, SSD, gated normalization, projection."""

    def __init__(self, config: MambaConfig, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.seed = config, seed

    def build(self, input_shape: Shape) -> None:  # noqa: ARG002 - Keras' signature
        """Create the eight weights in the order of :func:`ml_assets.mamba.shapes.weight_shapes`."""
        c = self.config
        mixed = c.d_inner + 2 * c.d_state
        seed = {name: derived_seed(self.seed, name) for name in ("in", "taps", "bias", "dt", "a", "out")}
        add = self.add_weight
        self.in_proj = add(
            name="in_proj",
            shape=(c.d_model, c.d_inner + mixed + c.n_heads),
            initializer=fan_in_uniform(c.d_model, seed["in"]),
        )
        self.conv_kernel = add(
            name="conv_kernel", shape=(c.d_conv, mixed), initializer=fan_in_uniform(c.d_conv, seed["taps"])
        )
        self.conv_bias = add(
            name="conv_bias", shape=(mixed,), initializer=fan_in_uniform(c.d_conv, seed["bias"])
        )
        self.dt_bias = add(name="dt_bias", shape=(c.n_heads,), initializer=step_bias(seed["dt"]))
        self.A_log = add(name="A_log", shape=(c.n_heads,), initializer=decay_range(seed["a"]))
        self.D = add(name="D", shape=(c.n_heads,), initializer="ones")
        self.gate_scale = add(name="gate_scale", shape=(c.d_inner,), initializer="ones")
        self.out_proj = add(
            name="out_proj", shape=(c.d_inner, c.d_model), initializer=fan_in_uniform(c.d_inner, seed["out"])
        )

    def call(self, x: Tensor, last_only: bool = False) -> Tensor:
        """Mix the steps of (B, L, d_model) causally; with `last_only` return the last step, (B, d_model)."""
        c = self.config
        inner, mixed = c.d_inner, c.d_inner + 2 * c.d_state
        length = x.shape[1]
        gate = project(x[:, -1] if last_only else x, self.in_proj[:, :inner])
        xbc = projected_convolution(
            x, self.in_proj[:, inner : inner + mixed], self.conv_kernel, self.conv_bias
        )
        xbc = ops.silu(xbc)
        dt = ops.softplus(project(x, self.in_proj[:, inner + mixed :]) + self.dt_bias)
        u = ops.reshape(xbc[..., :inner], (-1, length, c.n_heads, c.head_dim))
        b, out = xbc[..., inner : inner + c.d_state], xbc[..., inner + c.d_state :]
        a = -ops.exp(self.A_log)
        # Spread over the steps first: its gradient is then summed over windows and steps in turn, not over
        # all at once, which in float32 costs digits.
        skip = ops.broadcast_to(ops.expand_dims(self.D, -1), (length, c.n_heads, c.head_dim))
        if last_only:
            y = ssd_last(u, dt, a, b, out[:, -1]) + u[:, -1] * skip[-1]
            y = ops.reshape(y, (-1, inner))
        else:
            y = ops.reshape(ssd(u, dt, a, b, out) + u * skip, (-1, length, inner))
        return project(rms_normalize(y * ops.silu(gate), self.gate_scale), self.out_proj)

    def initial_state(self, batch: int) -> State:
        """Return the last inputs, (B, d_conv - 1, d_model), and the state h, (B, H, P, N): all zero."""
        c = self.config
        dtype = self.compute_dtype
        return (
            ops.zeros((batch, c.d_conv - 1, c.d_model), dtype),
            ops.zeros((batch, c.n_heads, c.head_dim, c.d_state), dtype),
        )

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one step of the recurrence: (B, d_model) and the state before -> (B, d_model), state after."""
        c = self.config
        inner, mixed = c.d_inner, c.d_inner + 2 * c.d_state
        inputs, h = state
        last = ops.concatenate([inputs, x[:, None]], axis=1)
        gate, dt = ops.matmul(x, self.in_proj[:, :inner]), ops.matmul(x, self.in_proj[:, inner + mixed :])
        kernel = self.in_proj[:, inner : inner + mixed]
        xbc = ops.silu(convolution_step(last, kernel, self.conv_kernel, self.conv_bias))
        dt = ops.softplus(dt + self.dt_bias)  # (B, H)
        u = ops.reshape(xbc[:, :inner], (-1, c.n_heads, c.head_dim))
        b, out = xbc[:, inner : inner + c.d_state], xbc[:, inner + c.d_state :]
        decay = ops.exp(dt * -ops.exp(self.A_log))
        added = (dt[..., None] * u)[..., None] * b[:, None, None, :]
        h = decay[..., None, None] * h + added
        y = ops.sum(h * out[:, None, None, :], -1) + u * ops.expand_dims(self.D, -1)
        y = rms_normalize(ops.reshape(y, (-1, inner)) * ops.silu(gate), self.gate_scale)
        return ops.matmul(y, self.out_proj), (last[:, 1:], h)


class Mamba1Mixer(keras.layers.Layer):  # type: ignore[misc]
    """Mamba-1 mixer: projection, causal convolution, selective scan, gate, projection."""

    def __init__(self, config: MambaConfig, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.seed = config, seed

    def build(self, input_shape: Shape) -> None:  # noqa: ARG002 - Keras' signature
        """Create the nine weights in the order of :func:`ml_assets.mamba.shapes.weight_shapes`."""
        c = self.config
        inner, state, rank = c.d_inner, c.d_state, c.dt_rank
        names = ("in", "taps", "bias", "x", "dt", "dt_bias", "out")
        seed = {name: derived_seed(self.seed, name) for name in names}

        def uniform(name: str, shape: tuple[int, ...], fan_in: int, key: str) -> Any:
            return self.add_weight(name=name, shape=shape, initializer=fan_in_uniform(fan_in, seed[key]))

        self.in_proj = uniform("in_proj", (c.d_model, 2 * inner), c.d_model, "in")
        self.conv_kernel = uniform("conv_kernel", (c.d_conv, inner), c.d_conv, "taps")
        self.conv_bias = uniform("conv_bias", (inner,), c.d_conv, "bias")
        self.x_proj = uniform("x_proj", (inner, rank + 2 * state), inner, "x")
        self.dt_proj = uniform("dt_proj", (rank, inner), rank, "dt")
        self.dt_bias = self.add_weight(name="dt_bias", shape=(inner,), initializer=step_bias(seed["dt_bias"]))
        self.A_log = self.add_weight(name="A_log", shape=(inner, state), initializer=decay_steps())
        self.D = self.add_weight(name="D", shape=(inner,), initializer="ones")
        self.out_proj = uniform("out_proj", (inner, c.d_model), inner, "out")

    def call(self, x: Tensor, last_only: bool = False) -> Tensor:
        """Mix the steps of (B, L, d_model) causally; with `last_only` return the last step, (B, d_model)."""
        c = self.config
        inner, state, rank = c.d_inner, c.d_state, c.dt_rank
        gate = project(x[:, -1] if last_only else x, self.in_proj[:, inner:])
        u = projected_convolution(x, self.in_proj[:, :inner], self.conv_kernel, self.conv_bias)
        u = ops.silu(u)
        mixed = project(u, self.x_proj)
        dt = ops.softplus(project(mixed[..., :rank], self.dt_proj) + self.dt_bias)
        b, out = mixed[..., rank : rank + state], mixed[..., rank + state :]
        a = -ops.exp(self.A_log)
        if last_only:
            y = selective_scan_last(u, dt, a, b, out[:, -1]) + u[:, -1] * self.D
        else:
            y = selective_scan(u, dt, a, b, out) + u * self.D
        return project(y * ops.silu(gate), self.out_proj)

    def initial_state(self, batch: int) -> State:
        """Return the last inputs, (B, d_conv - 1, d_model), and the state h, (B, D, N): all zero."""
        c = self.config
        dtype = self.compute_dtype
        return (
            ops.zeros((batch, c.d_conv - 1, c.d_model), dtype),
            ops.zeros((batch, c.d_inner, c.d_state), dtype),
        )

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one step of the recurrence: (B, d_model) and the state before -> (B, d_model), state after."""
        c = self.config
        inner, n, rank = c.d_inner, c.d_state, c.dt_rank
        inputs, h = state
        last = ops.concatenate([inputs, x[:, None]], axis=1)
        gate = ops.matmul(x, self.in_proj[:, inner:])
        u = ops.silu(convolution_step(last, self.in_proj[:, :inner], self.conv_kernel, self.conv_bias))
        mixed = ops.matmul(u, self.x_proj)
        dt = ops.softplus(ops.matmul(mixed[:, :rank], self.dt_proj) + self.dt_bias)  # (B, D)
        b, out = mixed[:, rank : rank + n], mixed[:, rank + n :]
        h = ops.exp(dt[..., None] * -ops.exp(self.A_log)) * h + (dt * u)[..., None] * b[:, None, :]
        y = ops.sum(h * out[:, None, :], -1) + u * self.D
        return ops.matmul(y * ops.silu(gate), self.out_proj), (last[:, 1:], h)


class MambaBlock(keras.layers.Layer):  # type: ignore[misc]
    """Residual block ``x + dropout(mixer(norm(x)))``."""

    def __init__(self, config: MambaConfig, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        mixer = SSDMixer if config.variant == "ssd" else Mamba1Mixer
        self.norm = RMSNorm(name="norm", dtype=self.dtype_policy)
        self.mixer = mixer(config, derived_seed(seed, "mixer"), name="mixer", dtype=self.dtype_policy)
        self.dropout = keras.layers.Dropout(
            config.dropout, seed=derived_seed(seed, "dropout"), dtype=self.dtype_policy
        )

    def build(self, input_shape: Shape) -> None:
        """Build norm, mixer and dropout: Keras builds no child by itself."""
        self.norm.build(input_shape)
        self.mixer.build(input_shape)
        self.dropout.build(input_shape)

    def call(self, x: Tensor, last_only: bool = False, training: bool = False) -> Tensor:
        """Map (B, L, d_model) to the same shape, or with `last_only` to (B, d_model)."""
        y = self.dropout(self.mixer(self.norm(x), last_only=last_only), training=training)
        return (x[:, -1] if last_only else x) + y

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one step without dropout: (B, d_model) and the mixer's state -> the same."""
        y, state = self.mixer.step(self.norm(x), state)
        return x + y, state
