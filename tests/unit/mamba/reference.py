"""The recurrences and the whole model step by step in float64 NumPy: slow, plain, and independent."""

from __future__ import annotations

import numpy as np


def softplus(x):
    return np.logaddexp(0.0, x)


def silu(x):
    return x / (1.0 + np.exp(-x))


def selective_scan(u, dt, a, b, c):
    """h_t = exp(dt_t a) h_{t-1} + dt_t u_t b_t, y_t = h_t c_t; u, dt (B, L, D), a (D, N), b, c (B, L, N)."""
    batch, length, channels = u.shape
    h = np.zeros((batch, channels, a.shape[1]))
    y = np.empty((batch, length, channels))
    for t in range(length):
        h = np.exp(dt[:, t, :, None] * a) * h + (dt[:, t] * u[:, t])[:, :, None] * b[:, t, None, :]
        y[:, t] = np.einsum("bdn,bn->bd", h, c[:, t])
    return y


def ssd(x, dt, a, b, c):
    """SSD is the selective scan with one decay for all channels and states of a head."""
    batch, length, heads, channels = x.shape
    expanded = np.repeat(dt, channels, axis=2)
    rates = np.repeat(np.repeat(a, channels)[:, None], b.shape[2], axis=1)
    y = selective_scan(x.reshape(batch, length, heads * channels), expanded, rates, b, c)
    return y.reshape(x.shape)


def rms_norm(x, scale):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * scale


def convolve(x, taps, bias):
    """Causal depthwise convolution, one step and one tap at a time."""
    y = np.zeros_like(x) + bias
    for t in range(x.shape[1]):
        for k in range(len(taps)):
            if (source := t - (len(taps) - 1) + k) >= 0:
                y[:, t] += x[:, source] * taps[k]
    return y


def ssd_mixer(h, w, config):
    inner, state, heads = config.d_inner, config.d_state, config.n_heads
    in_proj, taps, bias, dt_bias, a_log, skip, scale, out_proj = w
    mixed = h @ in_proj
    gate, dt = mixed[..., :inner], softplus(mixed[..., 2 * inner + 2 * state :] + dt_bias)
    xbc = silu(convolve(mixed[..., inner : 2 * inner + 2 * state], taps, bias))
    x = xbc[..., :inner].reshape(*h.shape[:2], heads, config.head_dim)
    b, c = xbc[..., inner : inner + state], xbc[..., inner + state :]
    y = ssd(x, dt, -np.exp(a_log), b, c) + x * skip[:, None]
    return rms_norm(y.reshape(*h.shape[:2], inner) * silu(gate), scale) @ out_proj


def mamba1_mixer(h, w, config):
    inner, state, rank = config.d_inner, config.d_state, config.dt_rank
    in_proj, taps, bias, x_proj, dt_proj, dt_bias, a_log, skip, out_proj = w
    mixed = h @ in_proj
    u, gate = silu(convolve(mixed[..., :inner], taps, bias)), mixed[..., inner:]
    projected = u @ x_proj
    dt = softplus(projected[..., :rank] @ dt_proj + dt_bias)
    b, c = projected[..., rank : rank + state], projected[..., rank + state :]
    return ((selective_scan(u, dt, -np.exp(a_log), b, c) + u * skip) * silu(gate)) @ out_proj


def model_steps(x, arrays, config):
    """Outputs of every step, (B, L, F) -> (B, L, outputs), from weights by their file path."""

    def layer(name):
        paths = sorted(p for p in arrays if p.startswith(f"{name}/vars/"))
        return [arrays[p].astype(np.float64) for p in paths]

    mixer = ssd_mixer if config.variant == "ssd" else mamba1_mixer
    kernel, bias = layer("embed")
    h = x @ kernel + bias
    for i in range(config.n_blocks):
        h = h + mixer(rms_norm(h, *layer(f"block_{i}/norm")), layer(f"block_{i}/mixer"), config)
    kernel, bias = layer("head")
    out = rms_norm(h, *layer("final_norm")) @ kernel + bias
    return out + x @ layer("feature_skip")[0] if config.linear_skip else out
