"""Acceptance of R4 (the network) and R5 (its serving), on a network that passed its gates in a real store."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from ml_assets.gates.options.european import pinn_gates
from ml_assets.gates.options.latency import sla
from ml_assets.pinn import OptionPricingPINN, PINNCache, PinnWeights, black_scholes, measure_latency
from tests.pinn_fixtures import ALIAS, pinn_store, quick_weights

__all__ = ["pinn_store", "quick_weights"]  # fixtures

pytestmark = pytest.mark.slow


def test_pinn_call_put_parity(pinn_store: Path) -> None:
    """R4: call minus put is the forward, by one trained model whose option_type is set on the same object."""
    model = OptionPricingPINN(option_type="call", r=0.05, sigma=0.2, physics_weight=10.0)
    model.load_weights((pinn_store / ALIAS).parent)
    S, K, tau, r = 100.0, 100.0, 0.25, 0.05
    call = model.predict(S=S, K=K, tau=tau)["price"]
    model.option_type = "put"
    put = model.predict(S=S, K=K, tau=tau)["price"]
    error = abs(call - put - (S - K * np.exp(-r * tau))) / S
    assert error < 0.02  # the brief's floor
    assert error < 1e-14  # ours: rounding
    assert call == pytest.approx(float(black_scholes(S, K, tau, r, 0.2)["price"]), abs=1e-8 * K)


def test_pinn_greeks_accuracy(pinn_store: Path, quick_weights: PinnWeights) -> None:
    """R4: Greeks and PDE residual of the trained network hold the brief's floors and our tighter gates."""
    model = OptionPricingPINN()
    model.load_weights((pinn_store / ALIAS).parent)
    S, tau = np.meshgrid(np.linspace(70.0, 140.0, 29), np.array([0.1, 0.25, 0.5, 1.0, 2.0]))
    found, exact = model.predict(S=S, K=100.0, tau=tau), black_scholes(S, 100.0, tau, 0.05, 0.2)
    assert (found["source"] == "network").mean() > 0.9  # the network answers, not its fallback
    for name, floor in (("delta", 0.05), ("gamma", 0.10)):
        relative = np.abs(found[name] - exact[name]) / np.abs(exact[name])
        assert relative.max() < floor
        assert np.linalg.norm(found[name] - exact[name]) < 1e-6 * np.linalg.norm(exact[name])
    results = {result.gate: result for result in pinn_gates(quick_weights)}
    assert results["pinn_residual"].figures["residual_rms"] < 0.01
    assert all(result.passed for result in results.values()), [r.message for r in results.values()]


def test_pinn_latency_under_1s(pinn_store: Path) -> None:
    """R5: 100 single quotes then 100 cached ones through PINNCache, and a fresh process within its limits."""
    cache = PINNCache(store=pinn_store)
    options = [
        {"S": 100.0 + i, "K": 110.0, "tau": 0.5, "r": 0.03, "sigma": 0.25, "option_type": kind}
        for i in range(50)
        for kind in ("call", "put")
    ]
    single, cached = [], []
    for times in (single, cached):
        for option in options:
            started = time.perf_counter()
            cache.predict_with_cache(**option)
            times.append(1e3 * (time.perf_counter() - started))
    assert cache.stats[:2] == (100, 100)  # hits, misses
    assert np.percentile(single, 95) < 1000.0
    assert np.percentile(cached, 95) < 500.0

    report = measure_latency(pinn_store, quotes=200, batches=(64, 1000))
    verdict = sla(report)
    assert verdict.passed, verdict.message
    assert report.resident_mb < 200.0
    assert not report.tensorflow_imported
    assert report.batch_per_second["64"] > 50.0
