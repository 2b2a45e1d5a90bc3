"""The verdicts: nothing is promoted that should not be, whatever the reports say."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.gates.fleet import every_symbol_judged, rule_applied
from ml_assets.skill import Promotion, PromotionRule, WalkForwardReport, adjusted_p_values, decide
from tests.unit.skill.makers import report

REPORT = st.builds(
    report,
    accuracy=st.floats(0.4, 0.8),
    p=st.floats(0, 1) | st.floats(0, 1e-3),
    best=st.floats(0.45, 0.6),
    days=st.sampled_from([1, 499, 500, 900]),
)
FLEET = st.dictionaries(
    st.text("ABCDEF", min_size=1, max_size=3), REPORT | st.just("its gate failed"), min_size=1, max_size=12
)
CLEAR = {"accuracy": 0.58, "p": 1e-6, "best": 0.52}


def verdicts(promotion: Promotion) -> dict[str, str]:
    return {v.symbol: v.verdict for v in promotion.verdicts}


@given(FLEET)
def test_every_promotion_meets_every_condition(fleet: dict[str, WalkForwardReport | str]) -> None:
    promotion = decide(fleet)
    rule = promotion.rule
    adjusted = dict(
        zip(sorted(fleet), adjusted_p_values([p_of(fleet[s]) for s in sorted(fleet)]), strict=True)
    )
    for symbol in promotion.promoted():
        found = fleet[symbol]
        assert isinstance(found, WalkForwardReport)
        assert found.accuracy <= rule.quarantine_accuracy
        assert found.days >= rule.minimum_days
        assert found.accuracy >= max(found.baselines.values()) + rule.margin
        assert adjusted[symbol] <= rule.false_discovery_rate


def p_of(found: WalkForwardReport | str) -> float:
    return 1.0 if isinstance(found, str) else found.p_value


@given(FLEET)
def test_every_attempt_is_judged_once_with_a_reason(fleet: dict[str, WalkForwardReport | str]) -> None:
    promotion = decide(fleet)
    assert [v.symbol for v in promotion.verdicts] == sorted(fleet)
    assert all(v.reason for v in promotion.verdicts)
    assert every_symbol_judged(list(fleet), promotion).passed
    for v in promotion.verdicts:
        found = fleet[v.symbol]
        if isinstance(found, str):
            assert (v.verdict, v.p_value, v.accuracy) == ("REJECT", 1.0, None)
            assert found in v.reason
        elif found.accuracy > promotion.rule.quarantine_accuracy:
            assert v.verdict == "QUARANTINE"


@given(FLEET)
def test_the_independent_rule_agrees(fleet: dict[str, WalkForwardReport | str]) -> None:
    assert rule_applied(fleet, decide(fleet), PromotionRule()).passed


@given(FLEET, st.integers(1, 20))
def test_failures_never_make_the_rest_look_better(
    fleet: dict[str, WalkForwardReport | str], failures: int
) -> None:
    more = fleet | {f"failed {i}": "out of memory" for i in range(failures)}
    assert set(decide(more).promoted()) <= set(decide(fleet).promoted())


@given(FLEET)
def test_promotion_survives_its_encoding(fleet: dict[str, WalkForwardReport | str]) -> None:
    promotion = decide(fleet)
    assert Promotion.from_bytes(promotion.to_bytes()) == promotion


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
    (found,) = decide({"A": report(**{**CLEAR, **change})}).verdicts  # type: ignore[arg-type]
    assert (found.verdict, reason in found.reason) == (verdict, True), found.reason


def test_crowd_of_attempts_raises_the_bar() -> None:
    one = {"A": report(**{**CLEAR, "p": 0.03})}  # type: ignore[arg-type]
    assert decide(one).promoted() == ["A"]
    assert decide(one | {"B": report("B"), "C": "crashed"}).promoted() == []


def test_thresholds_come_from_the_rule() -> None:
    strict = PromotionRule(quarantine_accuracy=0.55)
    assert verdicts(decide({"A": report(**CLEAR)}, strict)) == {"A": "QUARANTINE"}
    assert decide({"A": report(**CLEAR)}, strict).rule == strict


def test_no_attempt_gives_no_verdict() -> None:
    promotion = decide({})
    assert promotion.verdicts == []
    assert not every_symbol_judged([], promotion).passed


# ------------------------------------------------------------------ the gates on verdicts can fail


def tampered(promotion: Promotion, symbol: str, **change: object) -> Promotion:
    changed = [dataclasses.replace(v, **change) if v.symbol == symbol else v for v in promotion.verdicts]  # type: ignore[arg-type]
    return dataclasses.replace(promotion, verdicts=changed)


FLEET_OF_THREE: dict[str, WalkForwardReport | str] = {
    "A": report("A", **CLEAR),  # type: ignore[arg-type]
    "B": report("B", accuracy=0.7, p=1e-9),
    "C": "its gate failed",
}


def test_gates_pass_on_the_honest_verdicts() -> None:
    promotion = decide(FLEET_OF_THREE)
    assert verdicts(promotion) == {"A": "PROMOTE", "B": "QUARANTINE", "C": "REJECT"}
    assert every_symbol_judged(list(FLEET_OF_THREE), promotion).passed
    assert rule_applied(FLEET_OF_THREE, promotion, PromotionRule()).passed


@pytest.mark.parametrize("symbol", ["A", "B", "C"])
def test_flipped_verdict_is_noticed(symbol: str) -> None:
    promotion = decide(FLEET_OF_THREE)
    flipped = "REJECT" if symbol == "A" else "PROMOTE"
    result = rule_applied(FLEET_OF_THREE, tampered(promotion, symbol, verdict=flipped), PromotionRule())
    assert not result.passed
    assert result.message.startswith(f"{symbol}: the verdict says")


@pytest.mark.parametrize("change", [{"accuracy": 0.99}, {"p_value": 0.0}, {"days": 9999}])
def test_figures_that_the_report_does_not_hold_are_noticed(change: dict[str, float]) -> None:
    forged = tampered(decide(FLEET_OF_THREE), "A", **change)
    assert not rule_applied(FLEET_OF_THREE, forged, PromotionRule()).passed


def test_verdicts_by_a_laxer_rule_than_the_one_in_force_are_refused() -> None:
    lax = decide(FLEET_OF_THREE, PromotionRule(false_discovery_rate=0.99))
    assert "is in force" in rule_applied(FLEET_OF_THREE, lax, PromotionRule()).message


def test_missing_double_unknown_or_unexplained_verdicts_are_noticed() -> None:
    promotion = decide(FLEET_OF_THREE)
    symbols = list(FLEET_OF_THREE)
    for verdict_list, named in [
        (promotion.verdicts[1:], "missing ['A']"),
        ([*promotion.verdicts, promotion.verdicts[0]], "4 verdicts for 3"),
        ([*promotion.verdicts, dataclasses.replace(promotion.verdicts[0], symbol="X")], "unknown ['X']"),
        (tampered(promotion, "B", reason="").verdicts, "without a reason ['B']"),
    ]:
        result = every_symbol_judged(symbols, dataclasses.replace(promotion, verdicts=verdict_list))
        assert not result.passed
        assert named in result.message
