"""A symbol's sealed forecasts as a person reads them: one page for every target, and the pictures of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.report import Fold, Report, Score
from ml_assets.reports.pictures import BLUE, GREY, ORANGE, drawing
from ml_assets.storage.symbols import slug

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["calibration", "confusion", "relative_pages", "volatility_pages", "walk_forward_pages"]

_ROLLING = 120  # days
_BINS = 5
_YEAR = 252  # trading days


@dataclass(frozen=True)
class _Page:
    """What the pages of two targets do not share.

    ``level`` writes a score. ``columns`` holds, by name of a further figure, its heading and how it is
    written. ``remark`` is what there is to say of one horizon.
    """

    folder: str
    title: str
    picture: Callable[[Report], bytes]
    level: Callable[[float], str]
    heading: str
    columns: dict[str, tuple[str, Callable[[float], str]]]
    remark: Callable[[Score], str]

    def files(self, report: Report) -> dict[str, bytes]:
        """The page of one symbol and its picture, by path."""
        name = slug(report.symbol)
        return {
            f"{self.folder}/{name}.png": self.picture(report),
            f"{self.folder}/{name}.md": self._text(report, f"{name}.png").encode(),
        }

    def _text(self, report: Report, picture: str) -> str:
        lines = [
            f"# {report.symbol}: {self.title}",
            "",
            f"{len(report.folds)} folds, a model trained before each. Attempt {report.attempt} on them.",
            "",
            f"![forecasts]({picture})",
        ]
        for score in report.scores:
            lines += self._score(score)
        lines += [
            "",
            f"| fold | training rows | trained until | known until | test | weights | {self.heading} |",
            "|---|---|---|---|---|---|---|",
            *(self._fold(report, fold) for fold in report.folds),
        ]
        return "\n".join(lines) + "\n"

    def _score(self, score: Score) -> list[str]:
        heads = " | ".join(["forecast", self.heading, *(head for head, _ in self.columns.values())])
        lines = [
            "",
            f"## Next {score.horizon} day(s)",
            "",
            f"{score.days} sealed days from {score.dates[0]} to {score.dates[-1]}. {self.remark(score)}",
            "",
            f"| {heads} |",
            "|---" * (2 + len(self.columns)) + "|",
        ]
        for name in ("model", *score.baselines):
            figures = [
                write(score.figures[key][name]) if name in score.figures[key] else ""
                for key, (_, write) in self.columns.items()
            ]
            cells = [name.replace("_", " "), self.level(score.levels[name]), *figures]
            bold = [f"**{cell}**" for cell in cells if cell]
            lines.append(f"| {' | '.join(bold + [''] * cells.count('') if name == 'model' else cells)} |")
        return lines

    def _fold(self, report: Report, f: Fold) -> str:
        levels = "; ".join(
            f"{h} d: {self.level(ours)}" + (f", best baseline {self.level(theirs)}" if theirs else "")
            for h, ours, theirs in zip(
                report.horizons, f.levels, f.baseline_levels or [0.0] * len(f.levels), strict=True
            )
        )
        return (
            f"| {f.number} | {f.training_rows} | {f.trained_until} | {f.known_until} | {f.first_day} to "
            f"{f.last_day} | {f.origin} | {levels} |"
        )


def walk_forward_pages(report: Report) -> dict[str, bytes]:
    """Return the page of a direction report and its picture, by path."""
    return _DIRECTION.files(report)


def relative_pages(report: Report) -> dict[str, bytes]:
    """Return the page of a report of relative direction and its picture, by path."""
    return _RELATIVE.files(report)


def volatility_pages(report: Report) -> dict[str, bytes]:
    """Return the page of a variance report and its picture, by path."""
    return _VARIANCE.files(report)


def confusion(score: Score) -> NDArray[np.int64]:
    """Count days by forecast (rows: up, not up) and outcome (columns: up, not up)."""
    up, rose = np.array(score.forecast) > 0.5, np.array(score.realized) > 0
    return np.array([[np.sum(up & rose), np.sum(up & ~rose)], [np.sum(~up & rose), np.sum(~up & ~rose)]])


def calibration(score: Score) -> list[tuple[float, float, int]]:
    """Mean forecast, share of days that rose, and number of days, by groups of equal size."""
    probability, rose = np.array(score.forecast), np.array(score.realized) > 0
    groups = np.array_split(np.argsort(probability, kind="stable"), min(_BINS, probability.size))
    return [(float(probability[g].mean()), float(rose[g].mean()), len(g)) for g in groups if len(g)]


def _interval(score: Score) -> tuple[float, float]:
    return score.figures["interval_low"]["model"], score.figures["interval_high"]["model"]


def _direction_picture(report: Report) -> bytes:
    """Draw accuracy over time beside always-up, calibration, and confusion."""
    score = report.scores[0]
    with drawing(11.0, 3.4) as picture:
        over_time, calibrated, confused = picture.figure.subplots(1, 3, width_ratios=(2.2, 1.0, 0.8))
        _draw_hits(over_time, report, score)
        _draw_calibration(calibrated, score)
        _draw_confusion(confused, score)
    return picture.png


def _draw_hits(axes: Axes, report: Report, score: Score) -> None:
    days, rose = np.array(score.dates, dtype="datetime64[D]"), np.array(score.realized) > 0
    width = min(_ROLLING, score.days)
    lines = {"model": ((np.array(score.forecast) > 0.5) == rose, BLUE), "always up": (rose, ORANGE)}
    for name, (right, color) in lines.items():
        means = np.convolve(right, np.full(width, 1 / width), mode="valid")
        axes.plot(days[width - 1 :], means, color=color, label=name, linewidth=1.4)
    axes.axhline(0.5, color=GREY, linewidth=0.8)
    for fold in report.folds[1:]:
        start = float(np.datetime64(fold.first_day, "D").astype(int))
        axes.axvline(start, color=GREY, linewidth=0.8, linestyle=":")
    low, high = _interval(score)
    axes.set_title(
        f"{report.symbol}: {score.level:.1%} of {score.days} sealed days ({low:.1%} to {high:.1%})",
        fontsize=10,
    )
    axes.set_ylabel(f"accuracy, last {width} days")
    axes.legend(frameon=False, fontsize=8)
    axes.tick_params(labelsize=8)


def _draw_calibration(axes: Axes, score: Score) -> None:
    points = calibration(score)
    forecast, rose = [p[0] for p in points], [p[1] for p in points]
    error = [1.96 * np.sqrt(max(p[1] * (1 - p[1]), 1e-9) / p[2]) for p in points]
    low, high = min(*forecast, 0.45), max(*forecast, 0.55)
    axes.plot([low, high], [low, high], color=GREY, linewidth=0.8)
    axes.errorbar(forecast, rose, yerr=error, color=BLUE, marker="o", markersize=4, linewidth=1.0)
    axes.set_xlabel("forecast probability of a rise", fontsize=8)
    axes.set_ylabel("share that rose", fontsize=8)
    axes.set_title("calibration", fontsize=10)
    axes.tick_params(labelsize=8)


def _draw_confusion(axes: Axes, score: Score) -> None:
    table = confusion(score)
    axes.imshow(table, cmap="Blues", vmin=0, vmax=max(1, int(table.max()) * 2))
    for row in range(2):
        for column in range(2):
            axes.text(column, row, str(table[row, column]), ha="center", va="center", fontsize=9)
    axes.set_xticks([0, 1], ["rose", "did not"], fontsize=8)
    axes.set_yticks([0, 1], ["up", "not up"], fontsize=8)
    axes.set_ylabel("forecast", fontsize=8)
    axes.set_title("days", fontsize=10)


def _variance_picture(report: Report) -> bytes:
    """Draw forecast against realized volatility, and QLIKE by forecaster, at each horizon."""
    rows = len(report.scores)
    with drawing(11.0, 3.2 * rows) as picture:
        grid = picture.figure.subplots(rows, 2, width_ratios=(2.4, 1.0), squeeze=False)
        for axes, score in zip(grid, report.scores, strict=True):
            _draw_volatility(axes[0], report.symbol, score)
            _draw_losses(axes[1], score)
    return picture.png


def _yearly(variance: list[float], horizon: int) -> NDArray[np.float64]:
    """Volatility in percent per year."""
    return np.asarray(100.0 * np.sqrt(np.array(variance) * _YEAR / horizon))


def _draw_volatility(axes: Axes, symbol: str, score: Score) -> None:
    days = np.array(score.dates, dtype="datetime64[D]")
    axes.plot(days, _yearly(score.realized, score.horizon), ".", color=GREY, markersize=2, label="realized")
    lines = {score.best_baseline: (score.baseline_forecast, ORANGE), "model": (score.forecast, BLUE)}
    for name, (forecast, color) in lines.items():
        axes.plot(days, _yearly(forecast, score.horizon), color=color, linewidth=1.1, label=name)
    axes.set_title(f"{symbol}: next {score.horizon} day(s), {score.days} sealed days", fontsize=10)
    axes.set_ylabel("volatility, % a year", fontsize=8)
    axes.legend(frameon=False, fontsize=8)
    axes.tick_params(labelsize=8)


def _draw_losses(axes: Axes, score: Score) -> None:
    """Differences to the model: the level of QLIKE depends on the symbol and says nothing."""
    names = sorted(score.baselines, key=score.baselines.__getitem__, reverse=True)
    axes.barh(names, [score.levels[n] - score.level for n in names], color=ORANGE)
    axes.axvline(0.0, color=BLUE, linewidth=1.2)
    axes.set_xlabel("QLIKE above the model's, nats", fontsize=8)
    axes.set_title(f"p {score.p_value:.3f} against {score.best_baseline}", fontsize=10)
    axes.tick_params(labelsize=8)


def _direction_remark(score: Score) -> str:
    low, high = _interval(score)
    loss = score.figures["log_loss"]["model"]
    return (
        f"The model's share lies between {low:.1%} and {high:.1%} (95 % by 20-day blocks). Best "
        f"baseline that a promotion has to beat: {score.best_baseline}, {score.baseline_level:.1%}. "
        f"Pesaran-Timmermann, one-sided: p {score.p_value:.3f}. Log loss {loss:.4f} nats; a coin has 0.6931."
    )


_DIRECTION = _Page(
    folder="walk_forward",
    title="walk-forward score",
    picture=_direction_picture,
    level=lambda share: f"{share:.1%}",
    heading="share of days",
    columns={},
    remark=_direction_remark,
)
_RELATIVE = replace(_DIRECTION, folder="relative", title="better than the fleet's median stock")
_VARIANCE = _Page(
    folder="volatility",
    title="variance forecasts",
    picture=_variance_picture,
    level=lambda qlike: f"{qlike:.4f}",
    heading="QLIKE, nats",
    columns={
        "mse": ("MSE, (%²/day)²", lambda error: f"{error:.2f}"),
        "p_value": ("p: model no better", lambda p: f"{p:.4f}"),
    },
    remark=lambda score: (
        f"Realized over forecast variance, mean: {score.figures['calibration']['model']:.3f}."
    ),
)
