"""Gates on a look at released models: the right ones, every new day, figures that can be derived."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.forecasts.drift import DriftReport, Live
from ml_assets.forecasts.relative import RelativeReport
from ml_assets.forecasts.release import Release
from ml_assets.forecasts.target import Target
from ml_assets.forecasts.targets import DIRECTION, RELATIVE, VARIANCE
from ml_assets.forecasts.variance import VolatilityReport
from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.core import Gate, GateResult
from ml_assets.gates.forecasts.direction_drift import quoted_direction, recompute_direction
from ml_assets.gates.forecasts.feature_drift import features_recomputed
from ml_assets.gates.forecasts.relative import recompute_relative
from ml_assets.gates.forecasts.variance_drift import quoted_variance, recompute_variance
from ml_assets.prices import PriceHistory
from ml_assets.storage import ArtifactStore, Certificate, read_input
from ml_assets.windows.rolling import Floats

__all__ = ["DriftEvidence", "drift_gates"]


@dataclass(frozen=True)
class _Oracle:
    """How the gates read a report of one target, and derive its drift again."""

    report: Callable[[bytes], Any]
    quoted: Callable[[Any, int], tuple[str, int, float]]
    recompute: Callable[..., float]


_ORACLES = {
    DIRECTION.name: _Oracle(WalkForwardReport.from_bytes, quoted_direction, recompute_direction),
    RELATIVE.name: _Oracle(RelativeReport.from_bytes, quoted_direction, recompute_relative),
    VARIANCE.name: _Oracle(VolatilityReport.from_bytes, quoted_variance, recompute_variance),
}


@dataclass(frozen=True)
class _Won:
    """Weights that were released at a horizon, and the report that won them the place."""

    weights: str
    report: Any
    last_day: str


@dataclass(frozen=True)
class DriftEvidence:
    """What a look at the released models of a symbol is judged by.

    Parameters
    ----------
    target : Target
    store : ArtifactStore
    release : Certificate
        Of the release that was read.
    prices : PriceHistory
        The certified prices, up to now.
    live : mapping of int to Live
        By horizon: the models that were looked at.
    features : tuple or None
        Features before and since, and their names; None where another target's watch looks at them.
    block, false_alarms
        Settings of the watch.
    """

    target: Target
    store: ArtifactStore
    release: Certificate
    prices: PriceHistory
    live: Mapping[int, Live]
    features: tuple[Floats, Floats, tuple[str, ...]] | None
    block: int
    false_alarms: float

    @property
    def oracle(self) -> _Oracle:
        """How reports of this target are read."""
        return _ORACLES[self.target.name]

    def won(self, symbol: str) -> dict[int, _Won]:
        """What was released of a symbol by horizon, walked anew: release, verdicts, report, weights scored.

        Raises
        ------
        NotCertified
            If a link of the chain cannot be verified any more.
        """
        return {h: self._won(symbol, h, sha256) for h, sha256 in self._released(symbol).items()}

    def _released(self, symbol: str) -> dict[int, str]:
        manifest = Release.from_bytes(self.store.read("release", None, self.release.sha256)[0])
        return {
            v.horizon: v.sha256
            for v in manifest.versions
            if (v.asset, v.partition) == (self.target.weights, symbol) and v.horizon is not None
        }

    def _won(self, symbol: str, horizon: int, released: str) -> _Won:
        champion = next(s.champion for s in self._judged.champions if s.place == (symbol, horizon))
        data, certificate = self.store.read(self.target.report, symbol, champion.report_sha256)
        _, scored = read_input(self.store, certificate, self.target.weights, symbol)
        weights = scored.sha256 if scored.sha256 == released else "none: another version was scored"
        return _Won(weights, self.oracle.report(data), champion.scored_until)

    @cached_property
    def _judged(self) -> Any:
        data = read_input(self.store, self.release, self.target.verdicts, None)[0]
        return self.target.promotion.from_bytes(data)


def released_version(report: DriftReport, evidence: DriftEvidence) -> GateResult:
    """Each look is at the released weights of its horizon, and quotes the report that won them."""

    def inspect(tally: Tally) -> str:
        won = evidence.won(report.symbol)
        for look in report.looks:
            where = f"{report.symbol} over {look.horizon} day(s)"
            tally.checked += 1
            due = won.get(look.horizon)
            require(due is not None, f"{where}: looked at {look.champion}, but nothing is released")
            assert due is not None
            require(
                due.weights == look.champion, f"{where}: looked at {look.champion}, released {due.weights}"
            )
            baseline, days, level = evidence.oracle.quoted(due.report, look.horizon)
            actual, expected = (look.judged_until, look.baseline), (due.last_day, baseline)
            require(actual == expected, f"{where}: {actual} quoted, the report says {expected}")
            require(
                look.drift.reported_days == days and abs(look.drift.reported_level - level) <= 1e-9,
                f"{where}: {look.drift.reported_level} on {look.drift.reported_days} days quoted, the report "
                f"has {level} on {days}",
            )
        return f"{tally.checked} released versions, as their reports say"

    return verdict("released_version", inspect)


def new_days_only(report: DriftReport, evidence: DriftEvidence) -> GateResult:
    """Require of each released horizon every new day of the full blocks, once; none before, none left out.

    A day is new if its outcome shares no day with the last judged one. It counts if its outcome is known, and
    if it shares no day with the one before, where the target scores distinct outcomes.
    """

    def inspect(tally: Tally) -> str:
        history = [str(day.date()) for day in evidence.prices.dates]
        looks = {look.horizon: look for look in report.looks}
        require(len(looks) == len(report.looks), f"{report.symbol}: a horizon was looked at twice")
        for h, due in sorted(evidence.won(report.symbol).items()):
            last = sum(day <= due.last_day for day in history) - 1
            new = history[last + h : len(history) - h : 1 if evidence.target.overlapping else h]
            expected = new[: len(new) // evidence.block * evidence.block]
            actual = looks[h].dates if h in looks else []
            odd = next((p for p in zip(actual, expected, strict=False) if p[0] != p[1]), None)
            require(
                actual == expected,
                f"{report.symbol} over {h} day(s): {len(actual)} days looked at, {len(expected)} expected "
                f"since {due.last_day}" + (f"; {odd[0]} stands for {odd[1]}" if odd else ""),
            )
            tally.checked += len(expected)
        return f"{tally.checked} new days, each once"

    return verdict("new_days_only", inspect)


def drift_recomputed(report: DriftReport, evidence: DriftEvidence) -> GateResult:
    """Derive outcomes, level and p-value of each look again, by the oracle of the target."""

    def inspect(tally: Tally) -> str:
        won = evidence.won(report.symbol)
        for look in report.looks:
            where, h = f"{report.symbol} over {look.horizon} day(s)", look.horizon
            lengths = {len(look.dates), len(look.forecast), len(look.realized)}
            require(len(lengths) == 1, f"{where}: lengths {sorted(lengths)} differ")
            p = evidence.oracle.recompute(
                where, look, evidence.live[h], won[h].report, evidence.block, evidence.false_alarms
            )
            tally.checked += len(look.dates)
            tally.figures |= {f"p_value_{h}": p, f"level_{h}": look.drift.level}
        return f"{tally.checked} days scored again, p-values recomputed"

    return verdict("drift_recomputed", inspect)


def forecasts_reproduced(report: DriftReport, evidence: DriftEvidence) -> GateResult:
    """Ask the released weights once more: the same forecasts must come out, bit for bit."""

    def inspect(tally: Tally) -> str:
        for look in report.looks:
            again = evidence.live[look.horizon].forecast()[: len(look.dates)].tolist()
            require(len(again) == len(look.forecast), f"{len(look.forecast)} forecasts, {len(again)} days")
            for day, reported, expected in zip(look.dates, look.forecast, again, strict=True):
                tally.checked += 1
                require(
                    reported == expected,
                    f"{report.symbol} {day} over {look.horizon} day(s): reported {reported!r}, the "
                    f"weights say {expected!r}",
                )
        return f"{tally.checked} forecasts reproduced exactly"

    return verdict("forecasts_reproduced", inspect)


def _features_recomputed(report: DriftReport, evidence: DriftEvidence) -> GateResult:
    if evidence.features is None:
        message = "the watch of another target looks at the features of this symbol"
        return GateResult("features_recomputed", report.features is None, message, 1)
    return features_recomputed(
        report.symbol, report.features, evidence.features, block=evidence.block, limit=evidence.false_alarms
    )


def _recomputed_and_reproduced(report: DriftReport, evidence: DriftEvidence) -> GateResult:
    """Both, under the one name that certificates of direction have always had."""
    first = drift_recomputed(report, evidence)
    return first if not first.passed else _joined(first, forecasts_reproduced(report, evidence))


def _joined(first: GateResult, second: GateResult) -> GateResult:
    if not second.passed:
        return second
    message, checked = f"{first.message}; {second.message}", first.checked + second.checked
    return GateResult(first.gate, True, message, checked, first.figures)


def drift_gates(target: Target) -> Sequence[Gate[DriftReport, DriftEvidence]]:
    """Gates of the watch of a target."""
    if target is DIRECTION:
        figures = [
            Gate(
                "drift_recomputed",
                "Outcomes, right days and p-value derived again; the released weights say the same.",
                _recomputed_and_reproduced,
            )
        ]
    else:
        figures = [
            Gate(
                "drift_recomputed",
                "Outcomes, baselines, losses and p-values derived again from the raw prices.",
                drift_recomputed,
            ),
            Gate(
                "forecasts_reproduced",
                "The released weights, asked once more, say the same.",
                forecasts_reproduced,
            ),
        ]
    return [
        Gate(
            "released_version",
            "The weights looked at are those released, and their reports are quoted rightly.",
            released_version,
        ),
        Gate(
            "new_days_only",
            "Every new day of the full blocks of each released horizon, once, and no other.",
            new_days_only,
        ),
        *figures,
        Gate(
            "features_recomputed",
            "Distances of the features and their p-value derived again.",
            _features_recomputed,
        ),
    ]
