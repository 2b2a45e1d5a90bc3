"""The table of American prices goes on where an engine of QuantLib refuses an option."""

from __future__ import annotations

import numpy as np

from ml_assets.pinn.quotes import make_quotes
from ml_assets.reports.american import _PEERS, _peer


def test_an_option_that_an_engine_refuses_is_left_out_not_fatal() -> None:
    """Barone-Adesi-Whaley's search for the boundary leaves the positive numbers in corners of the box."""
    axes = np.meshgrid([0.05, 0.9], [1.0 / 365.0, 3.0], [1e-3, 0.12], [0.0, 0.12], indexing="ij")
    sigma, tau, r, q = (np.repeat(axis.ravel(), 6) for axis in axes)
    tau = np.maximum(np.rint(tau * 365.0), 1.0) / 365.0
    depth = np.tile([-2.5, -1.0, -0.3, 0.0, 0.5, 2.0], axes[0].size)
    S = np.exp(np.clip(depth * sigma * np.sqrt(tau), -0.7, 0.7))
    for name, engine in _PEERS.items():
        found = _peer(engine)(make_quotes(S, 1.0, tau, r, sigma, q, "put"))
        assert np.isfinite(found).mean() > 0.9, name
        assert (found[np.isfinite(found)] >= 0.0).all(), name
