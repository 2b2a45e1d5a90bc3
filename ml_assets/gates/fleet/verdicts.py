"""Gates on the verdicts over a fleet: everyone judged, by the rule in force; nobody serves without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_assets.forecasts.controls import CONTROLS, WALK
from ml_assets.forecasts.succession import Champion, Served
from ml_assets.forecasts.verdicts import (
    PROMOTE,
    QUARANTINE,
    REJECT,
    RETRAIN,
    Judged,
    Promotion,
    PromotionRule,
    Verdict,
    place_name,
)
from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.core import Gate, GateResult
from ml_assets.gates.fleet.oracles import ORACLES, Figures, Meeting

__all__ = ["VERDICT_GATES", "VerdictEvidence"]


@dataclass(frozen=True)
class VerdictEvidence:
    """What the verdicts over a fleet are judged by.

    Parameters
    ----------
    target : str
        Name of what is forecast.
    reports : mapping
        By symbol, controls among them: the certified report, or the reason why there is none.
    horizons : sequence of int
        That are to be judged.
    rule : PromotionRule
        In force.
    before : sequence of Served
        Who served by the last certified verdicts.
    """

    target: str
    reports: Mapping[str, Judged[Any] | str]
    horizons: Sequence[int]
    rule: PromotionRule
    before: Sequence[Served]

    def figures(self, symbol: str, horizon: int) -> Figures | None:
        """What the report of a place says; None without one."""
        judged = self.reports.get(symbol)
        return ORACLES[self.target].figures(judged.report, horizon) if isinstance(judged, Judged) else None

    def meeting(self, symbol: str, horizon: int) -> Meeting | None:
        """How the model of a place did beside the champion that it met."""
        judged = self.reports.get(symbol)
        return ORACLES[self.target].meeting(judged.report, horizon) if isinstance(judged, Judged) else None


def every_symbol_judged(promotion: Promotion, evidence: VerdictEvidence) -> GateResult:
    """Exactly one verdict, with a reason, for every attempted symbol at every horizon."""

    def inspect(tally: Tally) -> str:
        # The other gates go by the candidate's own list of horizons, so it must be the expected one.
        require(
            promotion.horizons == list(evidence.horizons),
            f"judged at {promotion.horizons}, expected {list(evidence.horizons)}",
        )
        expected = {(symbol, h) for symbol in evidence.reports for h in evidence.horizons}
        judged = [v.place for v in promotion.everyone]
        tally.checked = len(judged)
        missing, unknown = sorted(expected - set(judged)), sorted(set(judged) - expected)
        silent = [v.place for v in promotion.everyone if not v.reason]
        message = f"{len(judged)} verdicts for {len(expected)} attempts"
        require(
            not missing and not unknown and not silent and len(judged) == len(expected),
            f"{message}; missing {missing}, unknown {unknown}, without a reason {silent}",
        )
        return message

    return verdict("every_symbol_judged", inspect)


@dataclass(frozen=True)
class _Case:
    """What report and rule say of one attempt before others are looked at.

    ``forced`` is the verdict whatever the p-value is; ``better`` says that the gain is large enough.
    """

    figures: Figures | None
    forced: str | None
    better: bool

    @property
    def p_value(self) -> float:
        return 1.0 if self.figures is None else self.figures.p_value

    @property
    def entering(self) -> float:
        """The p-value, if all but significance holds; else 1, so that nothing else may move the threshold."""
        return self.p_value if self.forced is None and self.better else 1.0

    def expected(self, threshold: float, retrain_p: float) -> str:
        """Verdict, where p-values up to the threshold are significant."""
        if self.forced is not None:
            return self.forced
        if self.better and self.p_value <= threshold:
            return PROMOTE
        return RETRAIN if self.p_value < retrain_p else REJECT

    def shown(self) -> tuple[Any, ...]:
        """The figures that the verdict must show."""
        f = self.figures
        if f is None:
            return 0, None, None, None, None, 1.0
        return f.days, f.level, f.best_baseline, f.baseline_level, f.gain, f.p_value


def rule_applied(promotion: Promotion, evidence: VerdictEvidence) -> GateResult:
    """Derive every verdict anew from the reports and the rule in force, and compare the figures shown.

    Benjamini-Hochberg by its definition: the k smallest p-values are rejected, k the largest rank with
    p(k) <= q k / m over all m attempts, those that could not pass in any case counted as p = 1. A control is
    judged as if it were one more attempt.
    """
    rule = evidence.rule

    def inspect(tally: Tally) -> str:
        require(promotion.rule == rule, f"judged by {promotion.rule}, but {rule} is in force")
        attempts = [
            _case(evidence, symbol, h).entering
            for symbol in evidence.reports
            if symbol not in CONTROLS
            for h in promotion.horizons
        ]
        for v in promotion.everyone:
            control = v.symbol in CONTROLS
            case = _case(evidence, *v.place, control=control)
            beside = [*attempts, case.entering] if control else attempts
            kind = case.expected(_largest_rejected(beside, rule.false_discovery_rate), rule.retrain_p)
            if kind == PROMOTE and promotion.void is not None and not control:
                kind = REJECT
            actual, expected = (*_shown(v), v.verdict), (*case.shown(), kind)
            require(
                actual == expected,
                f"{place_name(*v.place)}: the verdict says {actual}, report and rule give {expected}",
            )
            tally.checked += 1
        tally.figures["passed"] = len(_passed(promotion))
        passed = ", ".join(_passed(promotion)) or "none"
        return f"{tally.checked} verdicts derived anew and equal; passed: {passed}"

    return verdict("rule_applied", inspect)


def _case(evidence: VerdictEvidence, symbol: str, horizon: int, *, control: bool = False) -> _Case:
    figures, rule, oracle = evidence.figures(symbol, horizon), evidence.rule, ORACLES[evidence.target]
    if figures is None:
        return _Case(None, REJECT, better=False)
    forced = REJECT if figures.days < rule.minimum_days else None
    if oracle.suspicious(figures, rule) and not control:
        forced = QUARANTINE
    return _Case(figures, forced, oracle.better(figures, rule))


def _shown(v: Verdict) -> tuple[Any, ...]:
    return v.days, v.level, v.best_baseline, v.baseline_level, v.gain, v.p_value


def _largest_rejected(p_values: Sequence[float], rate: float) -> float:
    ordered = sorted(p_values)
    return max((p for k, p in enumerate(ordered, 1) if p <= rate * k / len(ordered)), default=-1.0)


def controls_decide(promotion: Promotion, evidence: VerdictEvidence) -> GateResult:
    """The random walk failed and the planted edge passed, or else the run is void and nothing new serves.

    A void run is a result, not a failure of this gate: champions stay, and the reason is shown.
    """

    def inspect(tally: Tally) -> str:
        kinds = {v.place: v.verdict for v in promotion.controls}
        walks = [kinds.get((WALK, h), PROMOTE) for h in promotion.horizons]
        planted = kinds.get((ORACLES[evidence.target].planted, min(promotion.horizons)))
        hold = PROMOTE not in walks and planted == PROMOTE
        tally.checked, tally.figures["void"] = len(promotion.verdicts) + 1, int(promotion.void is not None)
        shown = [f"{place_name(*v.place)} {v.verdict}" for v in promotion.controls]
        require(
            hold == (promotion.void is None) and (hold or not _passed(promotion)),
            f"controls came out as {shown}, yet void is {promotion.void!r} and {_passed(promotion)} pass",
        )
        return f"controls: {', '.join(shown)}; {promotion.void or 'promotions count'}"

    return verdict("controls_decide", inspect)


def _passed(promotion: Promotion) -> list[str]:
    return [place_name(*v.place) for v in promotion.verdicts if v.verdict == PROMOTE]


def succession_sound(promotion: Promotion, evidence: VerdictEvidence) -> GateResult:
    """Whoever serves either served before, or passed now; who replaced a champion did better than it.

    A champion that cannot be asked any more must be gone, and who passed now must have its place.
    """
    before = {one.place: one.champion for one in evidence.before}
    serving = {one.place: one.champion for one in promotion.champions}
    kinds = {v.place: v.verdict for v in promotion.verdicts}

    def inspect(tally: Tally) -> str:
        tally.checked = len(serving) + len(before) + 1
        for place, old in before.items():
            if promotion.void is None and _beyond_asking(evidence, place, old):
                expected = _versions(evidence, place) if kinds.get(place) == PROMOTE else None
                actual = _names(serving.get(place))
                require(
                    actual == expected,
                    f"{place_name(*place)}: {old.weights_sha256[:12]} cannot be asked any more, the verdict "
                    f"was {kinds.get(place)}, but {str(actual)[:80]} serves",
                )
        for place, champion in serving.items():
            _require_won(evidence, kinds.get(place), place, champion, before.get(place))
        gone = ", ".join(place_name(*p) for p in sorted(set(before) - set(serving))) or "none"
        return f"{len(serving)} in service, {len(before)} before; retired: {gone}"

    return verdict("succession_sound", inspect)


def _require_won(
    evidence: VerdictEvidence,
    kind: str | None,
    place: tuple[str, int],
    champion: Champion,
    served: Champion | None,
) -> None:
    """The champion served before, or has passed now and done better than whom it replaced."""
    name, meeting = place_name(*place), evidence.meeting(*place)
    require(kind != QUARANTINE, f"{name}: serves although it is in quarantine")
    if champion == served:
        return
    require(
        kind == PROMOTE and _versions(evidence, place) == _names(champion),
        f"{name}: {champion.weights_sha256[:12]} serves, but the verdict was {kind} on "
        f"{str(_versions(evidence, place))[:80]}",
    )
    if served is None or served.weights_sha256 == champion.weights_sha256:
        return
    met = None if meeting is None else meeting.met
    require(
        meeting is not None and met == served.weights_sha256,
        f"{name}: replaced {served.weights_sha256[:12]}, but was compared with {met}",
    )
    assert meeting is not None
    require(meeting.lead > 0 or not meeting.askable, f"{name}: replaced its champion, {meeting.words}")


def _beyond_asking(evidence: VerdictEvidence, place: tuple[str, int], champion: Champion) -> bool:
    """A certified report says that it met this very champion, and that it could not be asked."""
    meeting = evidence.meeting(*place)
    return meeting is not None and meeting.met == champion.weights_sha256 and not meeting.askable


def _versions(evidence: VerdictEvidence, place: tuple[str, int]) -> tuple[str, str] | None:
    judged = evidence.reports.get(place[0])
    return (judged.weights_sha256, judged.report_sha256) if isinstance(judged, Judged) else None


def _names(champion: Champion | None) -> tuple[str, str] | None:
    return None if champion is None else (champion.weights_sha256, champion.report_sha256)


VERDICT_GATES: tuple[Gate[Promotion, VerdictEvidence], ...] = (
    Gate(
        "every_symbol_judged",
        "One verdict for every symbol and horizon that was attempted, the failed ones included.",
        every_symbol_judged,
    ),
    Gate("rule_applied", "Every verdict derived anew from its report by the rule in force.", rule_applied),
    Gate(
        "controls_decide",
        "A random walk fails and a planted edge passes, or no new model may serve.",
        controls_decide,
    ),
    Gate(
        "succession_sound",
        "Who serves has passed, now or before, and beat whom it replaced.",
        succession_sound,
    ),
)
"""Gates of the verdicts of every target."""
