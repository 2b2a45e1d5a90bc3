"""The recurrences of Mamba, computed without a step-by-step loop where that is possible.

Shapes: B windows, L steps, H heads of P channels, D inner channels, N states.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ml_assets.training.backend import keras, tf

__all__ = ["selective_scan", "selective_scan_last", "ssd", "ssd_last"]

ops = keras.ops
Tensor = Any

_GRID = 16.0  # a power of two: multiples of 1/16 add up exactly in float32


def ssd(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """State-space dual form of Mamba-2: one masked L x L matrix per head (Dao & Gu 2024, section 6).

    Equal to the recurrence ``h_t = exp(dt_t a) h_{t-1} + dt_t x_t b_t^T``, ``y_t = h_t c_t``.

    Parameters
    ----------
    x : tensor (B, L, H, P)
        Inputs.
    dt : tensor (B, L, H)
        Step sizes, positive.
    a : tensor (H,)
        Decay rates, negative.
    b, c : tensor (B, L, N)
        Input and output maps of the state.

    Returns
    -------
    tensor (B, L, H, P)
    """
    length = x.shape[1]
    causal = ops.cast(np.tril(np.ones((length, length))), x.dtype)
    # Above the diagonal exp would overflow, and inf times the mask's 0 is NaN: hence the minimum.
    decay = ops.exp(ops.minimum(_pairwise_log_decay(dt * a, length), 0.0))  # (B, H, L, L)
    scores = ops.matmul(c, ops.transpose(b, (0, 2, 1))) * causal  # (B, L, L), smaller than masking decay
    inputs = ops.transpose(x * dt[..., None], (0, 2, 1, 3))  # (B, H, L, P)
    return ops.transpose(ops.matmul(decay * scores[:, None], inputs), (0, 2, 1, 3))


def _pairwise_log_decay(log_decay: Tensor, length: int) -> Tensor:
    """Return ``sum(log_decay[j+1..i])`` for every pair, (B, L, H) -> (B, H, L, L).

    A difference of two cumulative sums loses digits once the sums are large. Each term is therefore split
    into a multiple of 1/16, whose sums and differences are exact, and a small rest.
    """
    coarse = ops.stop_gradient(ops.round(log_decay * _GRID) / _GRID)
    below = np.tril(np.ones((length, length)))
    pairs = []
    for part in (coarse, log_decay - coarse):
        sums = ops.transpose(ops.matmul(ops.cast(below, part.dtype), part), (0, 2, 1))  # (B, H, L)
        pairs.append(sums[..., :, None] - sums[..., None, :])
    return pairs[0] + pairs[1]


def ssd_last(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c_last: Tensor) -> Tensor:
    """Last step of :func:`ssd` alone: one weighted sum over the window.

    Parameters
    ----------
    x, dt, a, b
        As in :func:`ssd`.
    c_last : tensor (B, N)
        Output map of the last step.

    Returns
    -------
    tensor (B, H, P)
    """
    length = x.shape[1]
    after = ops.cast(np.triu(np.ones((length, length)), 1), dt.dtype)
    weights = ops.exp(ops.matmul(after, dt * a)) * dt * ops.matmul(b, c_last[..., None])  # (B, L, H)
    weights = ops.transpose(weights, (0, 2, 1))[:, :, None, :]
    return ops.squeeze(ops.matmul(weights, ops.transpose(x, (0, 2, 1, 3))), 2)


def selective_scan(u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Selective scan S6 of Mamba-1 (Gu & Dao 2023, algorithm 2).

    ``h_t = exp(dt_t a) h_{t-1} + dt_t u_t b_t``, ``y_t = h_t c_t``.

    Parameters
    ----------
    u, dt : tensor (B, L, D)
        Inputs and step sizes.
    a : tensor (D, N)
        Decay rates, negative.
    b, c : tensor (B, L, N)
        Input and output maps of the state.

    Returns
    -------
    tensor (B, L, D)
    """
    if keras.backend.backend() == "tensorflow":
        return _selective_scan_tf(u, dt, a, b, c)
    return _selective_scan_ops(u, dt, a, b, c)


def selective_scan_last(u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c_last: Tensor) -> Tensor:
    """Last step of :func:`selective_scan` alone, without a recurrence; `c_last` is (B, N), result (B, D)."""
    length = u.shape[1]
    after = ops.cast(np.triu(np.ones((length, length)), 1), dt.dtype)
    decay = ops.exp(ops.matmul(after, dt)[..., None] * a)  # (B, L, D, N)
    kernel = ops.squeeze(ops.matmul(decay, (b * c_last[:, None, :])[..., None]), -1)  # (B, L, D)
    return ops.sum(kernel * dt * u, axis=1)


def _time_major(x: Tensor) -> Tensor:
    return ops.transpose(x, (1, 0, 2))


def _selective_scan_ops(u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Scan in Keras operations for any backend; on TensorFlow it is slow and XLA refuses it."""

    def step(h: Tensor, inputs: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        dt_t, du_t, b_t = inputs
        h = ops.exp(dt_t[..., None] * a) * h + du_t[..., None] * b_t[:, None, :]
        return h, h  # TensorFlow wants the emitted value in the shape of the carried one

    start = ops.zeros_like(u[:, 0, :, None] * a)
    steps = (_time_major(dt), _time_major(dt * u), _time_major(b))
    _, states = ops.scan(step, start, steps, length=u.shape[1])  # (L, B, D, N)
    return _time_major(ops.squeeze(ops.matmul(states, _time_major(c)[..., None]), -1))


def _selective_scan_tf(u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Scan by a bounded while loop with a hand-written gradient that keeps only the states.

    The bound lets XLA compile it; automatic differentiation of the loop would store every temporary. All
    sums over states are taken inside the loops, where a state is at hand: memory is what limits the speed.
    """
    length = u.shape[1]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def scan(u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Any]:
        dts, inputs, bs, cs = (_time_major(v) for v in (dt, dt * u, b, c))
        start = tf.zeros_like(u[:, 0, :, None] * a)

        def forward(t: Tensor, h: Tensor, kept: Tensor, ys: Tensor) -> tuple[Tensor, ...]:
            h = tf.exp(dts[t][..., None] * a) * h + inputs[t][..., None] * bs[t][:, None, :]
            return t + 1, h, kept.write(t, h), ys.write(t, tf.reduce_sum(h * cs[t][:, None, :], -1))

        kept = tf.TensorArray(u.dtype, length, element_shape=start.shape)
        ys = tf.TensorArray(u.dtype, length, element_shape=dts.shape[1:])
        _, _, kept, ys = _while(forward, length, start, kept, ys)
        states = kept.stack()  # (L, B, D, N)

        def gradient(dy: Tensor) -> tuple[Tensor, ...]:
            dys = _time_major(dy)

            def backward(i: Tensor, carry: Tensor, da: Tensor, *grads: Tensor) -> tuple[Tensor, ...]:
                t = length - 1 - i
                dh = dys[t][..., None] * cs[t][:, None, :] + carry
                carry = dh * tf.exp(dts[t][..., None] * a)
                before = states[tf.maximum(t - 1, 0)] * tf.cast(t > 0, u.dtype)
                dlog = carry * before  # gradient of the log decay dt * a
                ddt, dinput, db, dc = grads
                return (
                    i + 1,
                    carry,
                    da + tf.reduce_sum(dlog * dts[t][..., None], 0),
                    ddt.write(t, tf.reduce_sum(dlog * a, -1)),
                    dinput.write(t, tf.reduce_sum(dh * bs[t][:, None, :], -1)),
                    db.write(t, tf.reduce_sum(dh * inputs[t][..., None], 1)),
                    dc.write(t, tf.reduce_sum(states[t] * dys[t][..., None], 1)),
                )

            shapes = (dts.shape[1:], dts.shape[1:], bs.shape[1:], bs.shape[1:])
            empty = [tf.TensorArray(u.dtype, length, element_shape=shape) for shape in shapes]
            _, _, da, *grads = _while(backward, length, tf.zeros_like(start), tf.zeros_like(a), *empty)
            ddt, dinput, db, dc = (_time_major(grad.stack()) for grad in grads)
            return dinput * dt, ddt + dinput * u, da, db, dc

        return _time_major(ys.stack()), gradient

    return scan(u, dt, a, b, c)


def _while(body: Any, length: int, *values: Tensor) -> tuple[Tensor, ...]:
    return tf.while_loop(lambda t, *_: t < length, body, (0, *values), maximum_iterations=length)  # type: ignore[no-any-return]
