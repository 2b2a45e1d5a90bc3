"""Honest baselines pass on any market; a rival that is worse than it could be is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from ml_assets.forecasts.forecaster import FoldRows, fold_rows
from ml_assets.forecasts.variance import VARIANCE_SCORING, VarianceSet, forecasters, variance_rows
from ml_assets.forecasts.variance.garch import Garch
from ml_assets.forecasts.walk_forward import walk_forward
from ml_assets.gates.core import GateResult
from ml_assets.gates.forecasts import _variance_baselines, _variance_fits
from ml_assets.gates.forecasts.variance_figures import variance_figures
from ml_assets.gates.forecasts.variance_start import start_recomputed
from ml_assets.prices import PriceHistory
from ml_assets.prices.simulated import price_history, simulate
from ml_assets.windows.sequences import SequenceConfig, build_sequences
from tests.unit.forecasts.variance_makers import HORIZONS, Start, awkward

Fit = Callable[..., Any]


@cache
def awkward_market(kind: str, seed: int) -> tuple[PriceHistory, list[FoldRows], list[VarianceSet]]:
    """Two folds of a market with these returns; with open, high and low for odd seeds."""
    close = 100.0 * np.exp(np.cumsum(awkward(kind, seed, 1000)))
    frame = simulate("random_walk", 1000, seed=seed).prices.frame
    shape = frame[["open", "high", "low"]].div(frame["close"], axis=0).mul(close, axis=0)
    frame = shape.assign(close=close) if seed % 2 else frame[["close"]].assign(close=close)
    prices = price_history("WILD", frame)
    whole = build_sequences(prices, SequenceConfig(window=30, test_days=120, folds=2))
    folds = fold_rows(prices.frame, whole, HORIZONS)
    return prices, folds, [variance_rows(fold.sequences, close, HORIZONS) for fold in folds]


def judged(kind: str, seed: int) -> GateResult:
    """The gate on the report of an untrained model, which says what it starts from."""
    prices, folds, rows = awkward_market(kind, seed)
    sequences = [fold.sequences for fold in folds]
    report = walk_forward(VARIANCE_SCORING, Start(sequences, rows), prices.frame, folds)
    return variance_figures(prices, sequences, report)


@pytest.mark.parametrize("kind", ["3", "big", "flat", "both"])
@pytest.mark.parametrize("seed", range(3))
def test_an_honest_report_and_start_pass_on_a_market_with_several_minima(kind: str, seed: int) -> None:
    result = judged(kind, seed)
    assert result.passed, result.message
    prices, _, rows = awkward_market(kind, seed)
    for of in rows:
        result = start_recomputed(prices, of)
        assert result.passed, result.message


def poorer_garch(fit: Fit) -> Fit:
    def poor(*known: Any) -> Garch:
        found = fit(*known)
        return Garch(found.omega * 1.3, found.alpha, found.beta * 0.97)

    return poor


def poorer_har(fit: Fit) -> Fit:
    return lambda *known: 1.3 * fit(*known)


def poorer_decay(fit: Fit) -> Fit:
    return lambda *known: 0.5 * (fit(*known) + 0.85)


POORER = {"fit_garch": poorer_garch, "fit_har_qlike": poorer_har, "fit_decay": poorer_decay}


@pytest.mark.parametrize("kind", ["3", "big", "flat"])
@pytest.mark.parametrize("name", POORER)
def test_a_poor_fit_is_refused_in_the_report_alone_and_in_the_code(
    kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code of the report is what proposes to the gate, so both are made poor; then only the report."""
    poor = POORER[name](getattr(forecasters, name))
    _variance_baselines._judged_garch.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(forecasters, name, poor)
        result = judged(kind, 1)
        assert not result.passed
        assert "as reported" in result.message or "recomputed ones" in result.message
        patch.setattr(_variance_baselines, name, poor)
        _variance_baselines._judged_garch.cache_clear()
        result = judged(kind, 1)
        assert not result.passed
        assert "as fitted has a loss of" in result.message
    _variance_baselines._judged_garch.cache_clear()


def test_fits_that_are_not_allowed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant of zero would have a lower QLIKE on days without a move: it is not a better rival."""
    monkeypatch.setattr(_variance_baselines, "fit_har_qlike", lambda *_: np.array([0.0, 0.1, 0.4, 0.4]))
    assert "are not allowed" in judged("3", 1).message
    monkeypatch.setattr(_variance_baselines, "fit_decay", lambda *_: 0.5)
    assert "allowed are 0.7 to 0.999" in judged("3", 1).message


def test_a_rival_better_than_what_the_gate_finds_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_variance_fits, "_reweighted", lambda _X, _y, start: start)
    monkeypatch.setattr(_variance_fits, "_garch", lambda energy: (float(energy.mean()), 0.0, 0.0))
    for kind in ("3", "big", "flat"):
        _variance_baselines._judged_garch.cache_clear()
        result = judged(kind, 1)
        assert result.passed, result.message
