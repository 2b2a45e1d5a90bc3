"""PyTorch peers of our Mamba, for measurement only: the published ways to write it without CUDA kernels.

``mamba.py`` is the package mambapy, with its parallel scan or with its sequential one, which is what
mamba-minimal does. The Mamba-2 peer is written here from the listing in Dao & Gu 2024 (arXiv:2405.21060,
section 6), as mamba2-minimal is: chunks, `segsum`, einsum.
"""

from __future__ import annotations

import torch
from mambapy.mamba import Mamba, MambaConfig
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Mamba2Minimal", "MambaPy"]


class MambaPy(nn.Module):
    """Embedding, two blocks of mamba.py, one output at the last step."""

    def __init__(self, features: int, d_model: int, d_state: int, blocks: int, *, pscan: bool) -> None:
        super().__init__()
        self.embed = nn.Linear(features, d_model)
        config = MambaConfig(d_model=d_model, n_layers=blocks, d_state=d_state, pscan=pscan)
        self.mamba, self.norm, self.head = Mamba(config), nn.RMSNorm(d_model), nn.Linear(d_model, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.mamba(self.embed(x))[:, -1]))


class Mamba2Minimal(nn.Module):
    """Embedding, two SSD blocks, one output at the last step."""

    def __init__(self, features: int, d_model: int, d_state: int, blocks: int, *, heads: int) -> None:
        super().__init__()
        self.embed = nn.Linear(features, d_model)
        self.blocks = nn.ModuleList([_SSDBlock(d_model, d_state, heads) for _ in range(blocks)])
        self.norm, self.head = nn.RMSNorm(d_model), nn.Linear(d_model, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        for block in self.blocks:
            h = h + block(h)
        return self.head(self.norm(h[:, -1]))


class _SSDBlock(nn.Module):
    def __init__(self, d_model: int, d_state: int, heads: int, chunk: int = 20) -> None:
        super().__init__()
        self.inner, self.state, self.heads, self.chunk = 2 * d_model, d_state, heads, chunk
        mixed = self.inner + 2 * d_state
        self.norm = nn.RMSNorm(d_model)
        self.in_proj = nn.Linear(d_model, self.inner + mixed + heads, bias=False)
        self.conv = nn.Conv1d(mixed, mixed, 4, groups=mixed, padding=3)
        self.dt_bias = nn.Parameter(torch.rand(heads))
        self.A_log = nn.Parameter(torch.log(torch.arange(1, heads + 1).float()))
        self.D = nn.Parameter(torch.ones(heads))
        self.gate_norm, self.out_proj = nn.RMSNorm(self.inner), nn.Linear(self.inner, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        gate, xbc, dt = torch.split(
            self.in_proj(self.norm(x)), [self.inner, self.inner + 2 * self.state, self.heads], dim=-1
        )
        xbc = functional.silu(self.conv(xbc.transpose(1, 2))[..., :length].transpose(1, 2))
        u, b, c = torch.split(xbc, [self.inner, self.state, self.state], dim=-1)
        u = u.reshape(batch, length, self.heads, -1)
        dt = functional.softplus(dt + self.dt_bias)
        y = _ssd(u * dt[..., None], -torch.exp(self.A_log) * dt, b[:, :, None], c[:, :, None], self.chunk)
        y = (y + u * self.D[:, None]).reshape(batch, length, self.inner)
        return self.out_proj(self.gate_norm(y * functional.silu(gate)))


def _segsum(x: Tensor) -> Tensor:
    """Sums over segments, (..., T) -> (..., T, T); minus infinity above the diagonal."""
    steps = x.size(-1)
    x = x[..., None].expand(*x.shape, steps)
    below = torch.tril(torch.ones(steps, steps, dtype=torch.bool), diagonal=-1)
    sums = torch.cumsum(x.masked_fill(~below, 0), dim=-2)
    return sums.masked_fill(~torch.tril(torch.ones(steps, steps, dtype=torch.bool)), -torch.inf)


def _ssd(x: Tensor, a: Tensor, b: Tensor, c: Tensor, chunk: int) -> Tensor:
    """State-space duality by chunks: x (B, L, H, P), a (B, L, H), b and c (B, L, 1, N)."""
    x, a, b, c = (v.unflatten(1, (-1, chunk)) for v in (x, a, b, c))
    b, c = (v.expand(*v.shape[:3], x.shape[3], v.shape[-1]) for v in (b, c))
    a = a.permute(0, 3, 1, 2)  # (B, H, C, chunk)
    sums = torch.cumsum(a, dim=-1)
    inside = torch.einsum("bclhn,bcshn,bhcls,bcshp->bclhp", c, b, torch.exp(_segsum(a)), x)
    left = torch.exp(sums[..., -1:] - sums)
    states = torch.einsum("bclhn,bhcl,bclhp->bchpn", b, left, x)
    states = torch.cat([torch.zeros_like(states[:, :1]), states], dim=1)
    between = torch.exp(_segsum(functional.pad(sums[..., -1], (1, 0))))
    states = torch.einsum("bhzc,bchpn->bzhpn", between, states)[:, :-1]
    across = torch.einsum("bclhn,bchpn,bhcl->bclhp", c, states, torch.exp(sums))
    return (inside + across).flatten(1, 2)
