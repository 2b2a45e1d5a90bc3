"""Gates on the look at released variance models: the right ones, every new day, figures by other means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from ml_assets.forecasts.release import Release
from ml_assets.forecasts.report import Score as HorizonScore
from ml_assets.forecasts.variance.drift import VarianceLook, VolatilityDriftReport
from ml_assets.forecasts.variance.report import VolatilityReport
from ml_assets.forecasts.variance.verdicts import VolatilityPromotion
from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.forecasts._variance_baselines import EXACT, NEAR, recomputed_rivals
from ml_assets.prices import PriceHistory
from ml_assets.storage import ArtifactStore, Certificate, read_input
from ml_assets.windows.sequence_set import SequenceSet

__all__ = [
    "Judged",
    "every_new_day",
    "judged_scores",
    "loss_drift_recomputed",
    "released_models",
    "variances_reproduced",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """The released weights of one horizon, and the score that won them the place.

    ``stretch`` is the number of days for which the report fitted a baseline once.
    """

    weights: str
    score: HorizonScore
    stretch: int


def judged_scores(store: ArtifactStore, release: Certificate, symbol: str) -> dict[int, Judged]:
    """What was released of a symbol by horizon, walked anew: release, verdicts, report, weights scored.

    Raises
    ------
    NotCertified
        If a link of the chain cannot be verified any more.
    """
    manifest = Release.from_bytes(store.read("release", None, release.sha256)[0])
    found = {}
    for version in manifest.versions:
        if (version.asset, version.partition) != ("volatility_weights", symbol) or version.horizon is None:
            continue
        verdicts = VolatilityPromotion.from_bytes(read_input(store, release, "volatility_promotion", None)[0])
        won = verdicts.champions[symbol][version.horizon].report_sha256
        data, certificate = store.read("volatility_report", symbol, won)
        _, scored = read_input(store, certificate, "volatility_weights", symbol)
        report = VolatilityReport.from_bytes(data)
        score = next(s for s in report.scores if s.horizon == version.horizon)
        if scored.sha256 == version.sha256:
            stretch = len([day for day in score.dates if day <= report.folds[0].last_day])
            found[version.horizon] = Judged(scored.sha256, score, stretch)
    return found


def released_models(report: VolatilityDriftReport, judged: Mapping[int, Judged]) -> GateResult:
    """Require that each look is at the released weights of its horizon, and quotes the report that won them.

    Parameters
    ----------
    report : VolatilityDriftReport
    judged : mapping of int to Judged
        From :func:`judged_scores`.
    """

    def inspect(tally: Tally) -> str:
        for look in report.looks:
            where, due = f"{report.symbol} over {look.horizon} day(s)", judged.get(look.horizon)
            tally.checked += 1
            require(due is not None, f"{where}: looked at {look.champion}, but nothing is released")
            assert due is not None
            require(
                due.weights == look.champion, f"{where}: looked at {look.champion}, released {due.weights}"
            )
            found = (look.judged_until, look.baseline)
            expected = (due.score.dates[-1], due.score.best_baseline)
            require(found == expected, f"{where}: {found} quoted, the report says {expected}")
            then = _excess(due.score.forecast, due.score.baseline_forecast, due.score.realized)
            said = look.drift.reported_days, look.drift.reported_excess
            require(
                said[0] == then.size and abs(said[1] - then.mean()) <= 1e-9,
                f"{where}: {said} quoted, the report has {then.size} days and {float(then.mean())}",
            )
        return f"{tally.checked} released versions, as their reports say"

    return verdict("released_version", inspect)


def every_new_day(
    report: VolatilityDriftReport, prices: PriceHistory, judged: Mapping[int, Judged], *, block: int
) -> GateResult:
    """Require of each released horizon every new day of the full blocks, once; none before, none left out.

    A day is new if its outcome shares no day with the last judged one; it counts if its outcome is known.
    """

    def inspect(tally: Tally) -> str:
        history = [str(day.date()) for day in prices.dates]
        looks = {look.horizon: look for look in report.looks}
        require(len(looks) == len(report.looks), f"{report.symbol}: a horizon was looked at twice")
        for h, due in sorted(judged.items()):
            last = sum(day <= due.score.dates[-1] for day in history) - 1
            new = history[last + h : len(history) - h]
            expected = new[: len(new) // block * block]
            found = looks[h].dates if h in looks else []
            odd = next((p for p in zip(found, expected, strict=False) if p[0] != p[1]), None)
            require(
                found == expected,
                f"{report.symbol} over {h} day(s): {len(found)} days looked at, {len(expected)} are due "
                f"since {due.score.dates[-1]}" + (f"; {odd[0]} stands for {odd[1]}" if odd else ""),
            )
            tally.checked += len(expected)
        return f"{tally.checked} new days, each once"

    return verdict("new_days_only", inspect)


def loss_drift_recomputed(
    report: VolatilityDriftReport,
    prices: PriceHistory,
    parts: Mapping[int, Sequence[SequenceSet]],
    judged: Mapping[int, Judged],
    *,
    block: int,
    false_alarms: float,
) -> GateResult:
    """Outcomes and baseline from the raw prices, the losses and the test by other algorithms.

    Parameters
    ----------
    report : VolatilityDriftReport
    prices : PriceHistory
    parts : mapping of int to sequence of SequenceSet
        By horizon: what the baseline was fitted on before each stretch; of it only positions are used.
        Stretches must be as long as in the report, and what was known must end right before their windows:
        a baseline that knows less is weaker, and hides that the model has lost.
    judged : mapping of int to Judged
        From :func:`judged_scores`.
    block, false_alarms
        As the report was made with.
    """

    def inspect(tally: Tally) -> str:
        for look in report.looks:
            where = f"{report.symbol} over {look.horizon} day(s)"
            _outcomes(where, look, prices)
            _baseline(where, look, prices, parts[look.horizon], judged[look.horizon].stretch)
            p = _test(where, look, judged[look.horizon].score, block, false_alarms)
            tally.checked += len(look.dates)
            tally.figures |= {f"p_value_{look.horizon}": p, f"excess_{look.horizon}": look.drift.excess}
        return f"{tally.checked} days scored again, p-values recomputed"

    return verdict("drift_recomputed", inspect)


def variances_reproduced(report: VolatilityDriftReport, predict: Callable[[int], Floats]) -> GateResult:
    """Ask the released weights once more: the same variances must come out, bit for bit.

    Parameters
    ----------
    report : VolatilityDriftReport
    predict : callable
        ``(horizon) -> variances`` of all its new days.
    """

    def inspect(tally: Tally) -> str:
        for look in report.looks:
            again = predict(look.horizon)[: len(look.dates)].tolist()
            require(len(again) == len(look.forecast), f"{len(look.forecast)} forecasts, {len(again)} days")
            for day, said, due in zip(look.dates, look.forecast, again, strict=True):
                tally.checked += 1
                require(
                    said == due,
                    f"{report.symbol} {day} over {look.horizon} day(s): reported {said!r}, the "
                    f"weights say {due!r}",
                )
        return f"{tally.checked} forecasts reproduced exactly"

    return verdict("forecasts_reproduced", inspect)


def _excess(forecast: Sequence[float], baseline: Sequence[float], outcome: Sequence[float]) -> Floats:
    f, b, x = np.array(forecast), np.array(baseline), np.array(outcome)
    return np.asarray(np.log(f / b) + x * (1 / f - 1 / b))


def _outcomes(where: str, look: VarianceLook, prices: PriceHistory) -> None:
    lengths = {len(look.dates), len(look.forecast), len(look.realized), len(look.baseline_forecast)}
    require(len(lengths) == 1, f"{where}: lengths {sorted(lengths)} differ")
    place = {str(day.date()): i for i, day in enumerate(prices.dates)}
    logs = np.log(prices.frame["close"].to_numpy())
    for day, said in zip(look.dates, look.realized, strict=True):
        steps = np.diff(logs[place[day] : place[day] + look.horizon + 1])
        due = float(steps @ steps)
        require(
            steps.size == look.horizon and abs(said - due) <= 1e-9 * due + 1e-15,
            f"{where}, {day}: outcome {said!r} reported, prices say {due!r}",
        )


def _baseline(
    where: str, look: VarianceLook, prices: PriceHistory, parts: Sequence[SequenceSet], stretch: int
) -> None:
    at = [part.positions("test") for part in parts]
    lengths = [len(test) for test in at]
    require(
        set(lengths[:-1]) <= {stretch} and lengths[-1] <= stretch,
        f"{where}: the baseline was fitted for {lengths} days, in the report for {stretch} each",
    )
    for part, test in zip(parts, at, strict=True):
        known = int(part.positions("validation")[-1]) + part.horizon
        require(
            known < test[0] - part.window + 1,
            f"{where}: the baseline knows {part.dates[known]}, which windows from "
            f"{part.as_of('test')[0]} on read",
        )
        require(
            known == test[0] - part.window,
            f"{where}: the baseline knows nothing after {part.dates[known]}, though windows from "
            f"{part.as_of('test')[0]} on begin {test[0] - part.window - known} days later",
        )
    # Positions are those of the prices: each part is a beginning of the same history.
    days = prices.dates.to_numpy()[np.concatenate(at)[: len(look.dates)]].astype("datetime64[D]")
    require([str(day) for day in days] == look.dates, f"{where}: the stretches are not the scored days")
    due = recomputed_rivals(where, prices.frame, parts, at, look.horizon)[look.baseline][: len(look.dates)]
    apart = float(np.mean(np.abs(np.log(np.array(look.baseline_forecast) / due))))
    require(
        apart <= NEAR.get(look.baseline, EXACT),
        f"{where}: forecasts of {look.baseline} are {apart:.4f} from the recomputed ones",
    )


def _test(where: str, look: VarianceLook, score: HorizonScore, block: int, false_alarms: float) -> float:
    now = _excess(look.forecast, look.baseline_forecast, look.realized)
    then = _excess(score.forecast, score.baseline_forecast, score.realized)
    found, number = look.drift, now.size // block
    p = _p_value(now, then, look.horizon)
    # The limits of k looks add up to k / (k + 1) of what may be spent; this look's is what it adds.
    limit = false_alarms * (number / (number + 1) - (number - 1) / number)
    for name, said, due in (
        ("days", found.days, now.size),
        ("look", found.look * block, now.size),
        ("loss against the baseline", found.excess, float(now.mean())),
        ("p", found.p_value, p),
        ("limit", found.limit, limit),
    ):
        require(
            abs(said - due) <= 1e-9 + 1e-6 * abs(due), f"{where}: {name} {said} reported, {due} recomputed"
        )
    return p


def _p_value(now: Floats, then: Floats, horizon: int) -> float:
    """Both spectra by projection on sines and cosines; the product uses the fast transform."""
    if min(now.size, then.size) < 30:
        return 1.0
    live, reported = _power(now, horizon), _power(then, horizon)
    if not (live.size and reported.size):
        return 1.0
    larger = max((reported, live), key=lambda power: float(power.mean()))
    parts = np.array([larger.mean() / now.size, reported.mean() / then.size])
    if parts[0] <= 0:
        return 1.0
    degrees = parts.sum() ** 2 / float(np.sum(parts**2 / (2 * np.array([larger.size, reported.size]))))
    return float(stdtr(degrees, (then.mean() - now.mean()) / np.sqrt(parts.sum())))


def _power(values: Floats, horizon: int) -> Floats:
    """Power at the frequencies k with k^3 at most n and a period of at least four horizons."""
    n = values.size
    chosen = [k for k in range(1, n // (4 * horizon) + 1) if k**3 <= n]
    angle = 2 * np.pi * np.outer(chosen, np.arange(n)) / n if chosen else np.empty((0, n))
    return np.asarray(((np.cos(angle) @ values) ** 2 + (np.sin(angle) @ values) ** 2) / n)
