"""The verdicts: nothing is promoted that should not be, whatever the reports say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.forecasts.controls import EDGE, WALK
from ml_assets.forecasts.statistics import adjusted_p_values
from ml_assets.forecasts.targets import DIRECTION
from ml_assets.forecasts.verdicts import Judged, Promotion, PromotionRule
from tests.unit.forecasts.direction_makers import judged, report, with_controls
from tests.unit.forecasts.fleets import all_gates, gate, serving
from tests.unit.forecasts.fleets import decide as decide_all

REPORT = st.builds(
    report,
    accuracy=st.floats(0.4, 0.8),
    p=st.floats(0, 1) | st.floats(0, 1e-3),
    best=st.floats(0.45, 0.6),
    days=st.sampled_from([1, 499, 500, 900]),
    attempt=st.sampled_from([1, 1, 1, 2, 30]),
).map(judged)
FLEET = st.dictionaries(
    st.text("ABCDEF", min_size=1, max_size=3), REPORT | st.just("its gate failed"), min_size=1, max_size=12
)
CLEAR = {"accuracy": 0.58, "p": 1e-6, "best": 0.52}


def decide(fleet: dict[str, Judged | str], rule: PromotionRule | None = None) -> Promotion:
    """Judge a fleet whose controls come out as they must."""
    return decide_all(with_controls(fleet), rule)


def clear(symbol: str = "A", **change: float) -> Judged:
    return judged(report(symbol, **{**CLEAR, **change}))  # type: ignore[arg-type]


def verdicts(promotion: Promotion) -> dict[str, str]:
    return {v.symbol: v.verdict for v in promotion.verdicts}


@given(FLEET)
def test_every_promotion_meets_every_condition(fleet: dict[str, Judged | str]) -> None:
    promotion = decide(fleet)
    rule = promotion.rule
    adjusted = dict(
        zip(sorted(fleet), adjusted_p_values([p_of(fleet[s]) for s in sorted(fleet)]), strict=True)
    )
    for symbol, _ in promotion.promoted():
        found = fleet[symbol]
        assert isinstance(found, Judged)
        (score,) = found.report.scores
        assert score.level <= rule.quarantine
        assert score.days >= rule.minimum_days
        assert score.level >= score.baseline_level + rule.margin
        assert adjusted[symbol] <= rule.false_discovery_rate


def p_of(found: Judged | str) -> float:
    return 1.0 if isinstance(found, str) else min(1.0, found.report.scores[0].p_value * found.report.attempt)


@given(FLEET)
def test_every_attempt_is_judged_once_with_a_reason(fleet: dict[str, Judged | str]) -> None:
    promotion = decide(fleet)
    assert [v.symbol for v in promotion.verdicts] == sorted(fleet)
    assert all(v.reason for v in promotion.verdicts)
    assert all_gates(with_controls(fleet), promotion)
    for v in promotion.verdicts:
        found = fleet[v.symbol]
        if isinstance(found, str):
            assert (v.verdict, v.p_value, v.level) == ("REJECT", 1.0, None)
            assert found in v.reason
        elif found.report.scores[0].level > promotion.rule.quarantine:
            assert v.verdict == "QUARANTINE"


@given(FLEET)
def test_the_independent_rule_agrees(fleet: dict[str, Judged | str]) -> None:
    result = gate("rule_applied", with_controls(fleet), decide(fleet))
    assert result.passed, result.message
    assert all_gates(with_controls(fleet), decide(fleet))


@given(FLEET, st.integers(1, 20))
def test_failures_never_make_the_rest_look_better(fleet: dict[str, Judged | str], failures: int) -> None:
    more = fleet | {f"failed {i}": "out of memory" for i in range(failures)}
    assert set(decide(more).promoted()) <= set(decide(fleet).promoted())


@pytest.mark.parametrize(
    ("change", "verdict", "reason"),
    [
        ({}, "PROMOTE", "adjusted p 0.000, +6.0% against"),
        ({"accuracy": 0.61}, "QUARANTINE", "how leaks look"),
        ({"accuracy": 0.60}, "PROMOTE", "against"),
        ({"days": 499}, "REJECT", "499 scored days, 500 needed"),
        ({"days": 500}, "PROMOTE", "against"),
        ({"best": 0.575}, "RETRAIN", "+1% needed"),
        ({"p": 0.06}, "RETRAIN", "adjusted p 0.06 > 0.05"),
        ({"p": 0.19}, "RETRAIN", "adjusted p"),
        ({"p": 0.20}, "REJECT", "adjusted p"),
        ({"p": 1.0, "best": 0.7}, "REJECT", "needed"),
    ],
)
def test_each_condition_alone_decides(change: dict[str, float], verdict: str, reason: str) -> None:
    (found,) = decide({"A": clear(**change)}).verdicts
    assert (found.verdict, reason in found.reason) == (verdict, True), found.reason


def test_crowd_of_attempts_raises_the_bar() -> None:
    one: dict[str, Judged | str] = {"A": clear(p=0.03)}
    assert decide(one).promoted() == [("A", 1)]
    assert decide(one | {"B": judged(report("B")), "C": "crashed"}).promoted() == []


def test_every_retry_on_the_same_days_raises_the_bar() -> None:
    assert decide({"A": clear(p=0.02, attempt=2)}).promoted() == [("A", 1)]
    promotion = decide({"A": clear(p=0.02, attempt=3)})
    assert promotion.promoted() == []
    assert "attempt 3 on these days" in promotion.verdicts[0].reason
    assert promotion.verdicts[0].p_value == pytest.approx(0.06)


# ------------------------------------------------------------------ controls


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ({WALK: judged(report(WALK, accuracy=0.56, p=1e-5))}, "would have been promoted: there is a leak"),
        ({WALK: judged(report(WALK, accuracy=0.82, p=1e-9))}, "would have been promoted: there is a leak"),
        ({EDGE: judged(report(EDGE, accuracy=0.51, p=0.4))}, "training is broken"),
        ({EDGE: "crashed"}, "training is broken"),
    ],
)
def test_controls_that_come_out_wrong_void_the_promotions(spoil: dict[str, Judged | str], why: str) -> None:
    fleet = {**with_controls({"A": clear(), "B": judged(report("B", accuracy=0.7, p=1e-9))}), **spoil}
    promotion = decide_all(fleet)
    assert promotion.champions == []
    assert promotion.void is not None
    assert why in promotion.void
    assert verdicts(promotion) == {"A": "REJECT", "B": "QUARANTINE"}
    assert all_gates(fleet, promotion)


def test_without_controls_nothing_is_promoted() -> None:
    promotion = decide_all({"A": clear()})
    assert promotion.champions == []
    assert promotion.void is not None
    assert "not judged" in promotion.void


def test_the_edge_does_not_make_it_easier_for_the_others() -> None:
    """Among them its sure find would let Benjamini-Hochberg reject more of the rest."""
    fleet: dict[str, Judged | str] = {"A": clear(p=0.04), "B": judged(report("B", p=0.9))}
    assert decide(fleet).promoted() == []


@pytest.mark.parametrize(
    "forge",
    [
        lambda p: dataclasses.replace(p, void=None),
        lambda p: dataclasses.replace(p, controls=[]),
        lambda p: dataclasses.replace(
            p, verdicts=[dataclasses.replace(v, verdict="PROMOTE") for v in p.verdicts]
        ),
    ],
)
def test_a_void_run_that_promotes_all_the_same_is_noticed(forge: Callable[[Promotion], Promotion]) -> None:
    fleet = {**with_controls({"A": clear()}), EDGE: "crashed"}
    promotion = decide_all(fleet)
    assert all_gates(fleet, promotion)
    assert not all_gates(fleet, forge(promotion))


def test_thresholds_come_from_the_rule() -> None:
    strict = dataclasses.replace(DIRECTION.rule, quarantine=0.55)
    assert verdicts(decide({"A": clear()}, strict)) == {"A": "QUARANTINE"}
    assert decide({"A": clear()}, strict).rule == strict


def test_no_attempt_gives_no_verdict() -> None:
    promotion = decide_all({})
    assert promotion.verdicts == []
    assert not gate("every_symbol_judged", {}, promotion).passed


# ------------------------------------------------------------------ the gates on verdicts can fail


def tampered(promotion: Promotion, symbol: str, **change: object) -> Promotion:
    changed = [dataclasses.replace(v, **change) if v.symbol == symbol else v for v in promotion.verdicts]  # type: ignore[arg-type]
    return dataclasses.replace(promotion, verdicts=changed)


FLEET_OF_THREE: dict[str, Judged | str] = {
    "A": clear(),
    "B": judged(report("B", accuracy=0.7, p=1e-9)),
    "C": "its gate failed",
}
ATTEMPTED = with_controls(FLEET_OF_THREE)


def test_gates_pass_on_the_honest_verdicts() -> None:
    promotion = decide(FLEET_OF_THREE)
    assert verdicts(promotion) == {"A": "PROMOTE", "B": "QUARANTINE", "C": "REJECT"}
    assert serving(promotion) is not None
    assert all_gates(ATTEMPTED, promotion)


@pytest.mark.parametrize("symbol", ["A", "B", "C"])
def test_flipped_verdict_is_noticed(symbol: str) -> None:
    promotion = decide(FLEET_OF_THREE)
    flipped = "REJECT" if symbol == "A" else "PROMOTE"
    result = gate("rule_applied", ATTEMPTED, tampered(promotion, symbol, verdict=flipped))
    assert not result.passed
    assert result.message.startswith(f"{symbol} (1 d): the verdict says")


@pytest.mark.parametrize("change", [{"level": 0.99}, {"gain": 0.2}, {"p_value": 0.0}, {"days": 9999}])
def test_figures_that_the_report_does_not_hold_are_noticed(change: dict[str, float]) -> None:
    forged = tampered(decide(FLEET_OF_THREE), "A", **change)
    assert not gate("rule_applied", ATTEMPTED, forged).passed


def test_verdicts_by_a_laxer_rule_than_the_one_in_force_are_refused() -> None:
    lax = decide(FLEET_OF_THREE, dataclasses.replace(DIRECTION.rule, false_discovery_rate=0.99))
    assert "is in force" in gate("rule_applied", ATTEMPTED, lax).message


def test_missing_double_unknown_or_unexplained_verdicts_are_noticed() -> None:
    promotion = decide(FLEET_OF_THREE)
    for verdict_list, named in [
        (promotion.verdicts[1:], "missing [('A', 1)]"),
        ([*promotion.verdicts, promotion.verdicts[0]], "6 verdicts for 5"),
        ([*promotion.verdicts, dataclasses.replace(promotion.verdicts[0], symbol="X")], "unknown [('X', 1)]"),
        (tampered(promotion, "B", reason="").verdicts, "without a reason [('B', 1)]"),
    ]:
        result = gate("every_symbol_judged", ATTEMPTED, dataclasses.replace(promotion, verdicts=verdict_list))
        assert not result.passed
        assert named in result.message
