"""Verdicts over a fleet of variance models, and the gates on them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.forecasts.controls import VARIANCE, WALK
from ml_assets.forecasts.report import Score
from ml_assets.forecasts.succession import Served
from ml_assets.forecasts.targets import VARIANCE as TARGET
from ml_assets.forecasts.variance import VolatilityReport
from ml_assets.forecasts.verdicts import Judged, Promotion
from tests.unit.forecasts import fleets
from tests.unit.forecasts.fleets import all_gates, gate

Reports = dict[str, VolatilityReport | str]


def report(
    symbol: str, p: float | tuple[float, float] = 0.5, gain: float = 0.02, days: int = 900, attempt: int = 1
) -> VolatilityReport:
    """Build a report that claims what the test wants; no prices stand behind it."""
    both = p if isinstance(p, tuple) else (p, p)
    dates = [str(np.datetime64("2015-01-01") + i) for i in range(days)]
    scores = [
        Score(
            horizon=h, dates=dates, forecast=[1e-4] * days, realized=[1e-4] * days,
            baseline_forecast=[1e-4] * days, best_baseline="garch",
            levels={"model": -7.0 - gain, "garch": -7.0, "mean": -6.5}, gain=-7.0 - (-7.0 - gain), p_value=q,
        )
        for h, q in zip((1, 5), both, strict=True)
    ]  # fmt: skip
    return VolatilityReport(symbol, scores, [], attempt)


def judged(found: Reports) -> dict[str, Judged[VolatilityReport] | str]:
    """Give each report the versions that its bytes have."""
    return {
        s: r if isinstance(r, str) else Judged(r, sha256_of(r.to_bytes()), sha256_of(s.encode()))
        for s, r in found.items()
    }


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


CONTROLS: Reports = {VARIANCE: report(VARIANCE, (1e-6, 0.3), 0.3), WALK: report(WALK, 0.6, -0.001)}


def decide(reports: Reports, champions: Iterable[Served] = ()) -> Promotion:
    return fleets.decide(judged(reports), champions=champions, target=TARGET)


def verdicts(promotion: Promotion, symbol: str) -> list[str]:
    return [v.verdict for v in promotion.verdicts if v.symbol == symbol]


def test_each_horizon_has_its_verdict_with_a_reason() -> None:
    fleet = {"A": report("A", (1e-4, 0.1)), "B": report("B", 0.6, -0.01), "C": "gate failed", **CONTROLS}
    found = decide(fleet)
    assert verdicts(found, "A") == ["PROMOTE", "RETRAIN"]
    assert verdicts(found, "B") == verdicts(found, "C") == ["REJECT", "REJECT"]
    assert found.promoted() == [("A", 1)]
    assert found.void is None
    assert {v.p_value for v in found.verdicts if v.symbol == "C"} == {1.0}
    assert all("gate failed" in v.reason for v in found.verdicts if v.symbol == "C")


def test_luck_of_one_among_many_is_not_promoted() -> None:
    fleet = {f"S{i}": report(f"S{i}", 0.5) for i in range(20)}
    assert verdicts(decide({"A": report("A", 0.01), **CONTROLS}), "A") == ["PROMOTE", "PROMOTE"]
    assert verdicts(decide({"A": report("A", 0.01), **fleet, **CONTROLS}), "A") == ["RETRAIN", "RETRAIN"]


@pytest.mark.parametrize(
    ("tried", "due", "reason"),
    [
        (report("A", 1e-4, days=499), "REJECT", "499 scored days, 500 needed"),
        (report("A", 1e-4, gain=0.25), "QUARANTINE", "leaks look"),
        (report("A", 0.02, attempt=3), "REJECT", "attempt 3"),
        (report("A", 1e-4, gain=-0.01), "RETRAIN", "against garch"),
    ],
)
def test_what_stands_against_a_promotion(tried: VolatilityReport, due: str, reason: str) -> None:
    fleet = {"A": tried, "B": report("B", 0.9), **CONTROLS}
    found = decide(fleet)
    first = next(v for v in found.verdicts if v.symbol == "A")
    assert (first.verdict, reason in first.reason) == (due if tried.attempt == 1 else "RETRAIN", True)


@pytest.mark.parametrize(
    "blocked",
    [report("A", 1e-9, gain=0.25), report("A", 1e-9, gain=-0.01), report("A", 1e-9, days=499)],
    ids=["quarantine", "no gain", "short"],
)
def test_what_cannot_pass_does_not_move_the_bar_for_the_rest(blocked: VolatilityReport) -> None:
    """p = 0.03 of four passes Benjamini-Hochberg only beside two finds; these are none that may count."""
    others = {"B": report("B", 0.03), **CONTROLS}
    assert verdicts(decide({"A": report("A", 1e-9), **others}), "B") == ["PROMOTE", "PROMOTE"]
    assert verdicts(decide({"A": blocked, **others}), "B") == ["RETRAIN", "RETRAIN"]
    assert {v.adjusted_p for v in decide({"A": blocked, **others}).verdicts if v.symbol == "A"} == {1.0}


@pytest.mark.parametrize(
    "controls",
    [
        {},
        {VARIANCE: CONTROLS[VARIANCE]},
        {**CONTROLS, WALK: report(WALK, (0.9, 1e-6))},
        {**CONTROLS, VARIANCE: report(VARIANCE, (0.3, 1e-6))},
        {**CONTROLS, VARIANCE: "no report"},
    ],
    ids=["none", "no walk", "walk promoted", "edge missed", "edge failed"],
)
def test_controls_that_come_out_wrong_void_the_run(controls: Reports) -> None:
    found = decide({"A": report("A", 1e-6), **controls})
    assert found.void is not None
    assert found.promoted() == []
    assert all_gates(judged({"A": report("A", 1e-6), **controls}), found, target=TARGET)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("ABCDEFGH"),
        st.tuples(
            st.floats(0, 1),
            st.floats(0, 1),
            st.floats(-0.1, 0.3),
            st.sampled_from([300, 900]),
            st.integers(1, 3),
        ),
        min_size=1,
    )
)
def test_the_gate_derives_the_very_verdicts(fleet: dict[str, tuple[float, float, float, int, int]]) -> None:
    tried = {s: report(s, (a, b), gain, days, attempt) for s, (a, b, gain, days, attempt) in fleet.items()}
    reports = judged({**tried, **CONTROLS})
    found = fleets.decide(reports, target=TARGET)
    result = gate("rule_applied", reports, found, target=TARGET)
    assert result.passed, result.message
    assert all_gates(reports, found, target=TARGET)


def test_gates_notice_a_changed_verdict() -> None:
    fleet: Reports = {"A": report("A", 0.5), "B": report("B", 0.5), **CONTROLS}
    reports, found = judged(fleet), decide(fleet)
    first, *rest = found.verdicts
    for change in (
        {"verdict": "PROMOTE"},
        {"p_value": 0.001},
        {"gain": 0.1},
        {"days": 1000},
        {"best_baseline": "har"},
    ):
        spoiled = replace(found, verdicts=[replace(first, **change), *rest])  # type: ignore[arg-type]
        result = gate("rule_applied", reports, spoiled, target=TARGET)
        assert not result.passed
        assert "A (1 d)" in result.message
    laxer = replace(TARGET.rule, false_discovery_rate=0.5)
    assert not gate("rule_applied", reports, found, rule=laxer, target=TARGET).passed
    silent = replace(found, verdicts=[replace(first, reason=""), *rest])
    for spoiled in (replace(found, verdicts=rest), silent, replace(found, horizons=[1, 5, 22])):
        assert not gate("every_symbol_judged", reports, spoiled, target=TARGET).passed
    assert not gate("every_symbol_judged", reports, found, target=TARGET, horizons=(1, 5, 22)).passed
    no_reason = replace(found, void="no reason at all")
    lied = replace(decide({"A": report("A", 1e-6)}), void=None)
    for spoiled in (no_reason, lied):
        assert not gate("controls_decide", reports, spoiled, target=TARGET).passed
