"""A symbol's sealed score as a person reads it: over time, by confidence, by direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.reports.pictures import BLUE, GREY, ORANGE, drawing
from ml_assets.storage.symbols import slug

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["calibration", "confusion", "walk_forward_pages"]

_ROLLING = 120  # days
_BINS = 5


def confusion(report: WalkForwardReport) -> NDArray[np.int64]:
    """Count days by forecast (rows: up, not up) and outcome (columns: up, not up)."""
    up, rose = np.array(report.probability) > 0.5, np.array(report.realized) > 0
    return np.array([[np.sum(up & rose), np.sum(up & ~rose)], [np.sum(~up & rose), np.sum(~up & ~rose)]])


def calibration(report: WalkForwardReport) -> list[tuple[float, float, int]]:
    """Mean forecast, share of days that rose, and number of days, by groups of equal size."""
    probability, rose = np.array(report.probability), np.array(report.realized) > 0
    groups = np.array_split(np.argsort(probability, kind="stable"), min(_BINS, probability.size))
    return [(float(probability[g].mean()), float(rose[g].mean()), len(g)) for g in groups if len(g)]


def _picture(report: WalkForwardReport) -> bytes:
    """Draw accuracy over time beside always-up, calibration, and confusion."""
    with drawing(11.0, 3.4) as picture:
        over_time, calibrated, confused = picture.figure.subplots(1, 3, width_ratios=(2.2, 1.0, 0.8))
        _draw_over_time(over_time, report)
        _draw_calibration(calibrated, report)
        _draw_confusion(confused, report)
    return picture.png


def walk_forward_pages(report: WalkForwardReport) -> dict[str, bytes]:
    """Return the page of one symbol and its picture, by path."""
    folder, name = "walk_forward", slug(report.symbol)
    return {
        f"{folder}/{name}.png": _picture(report),
        f"{folder}/{name}.md": _page(report, f"{name}.png").encode(),
    }


def _draw_over_time(axes: Axes, report: WalkForwardReport) -> None:
    days = np.array(report.dates, dtype="datetime64[D]")
    width = min(_ROLLING, report.days)
    lines = {
        "model": (report.right, BLUE),
        "always up": (np.array(report.realized) > 0, ORANGE),
    }
    for name, (right, color) in lines.items():
        means = np.convolve(right, np.full(width, 1 / width), mode="valid")
        axes.plot(days[width - 1 :], means, color=color, label=name, linewidth=1.4)
    axes.axhline(0.5, color=GREY, linewidth=0.8)
    for fold in report.folds[1:]:
        axes.axvline(
            float(np.datetime64(fold.first_day, "D").astype(int)), color=GREY, linewidth=0.8, linestyle=":"
        )
    low, high = report.interval
    axes.set_title(
        f"{report.symbol}: {report.accuracy:.1%} of {report.days} sealed days ({low:.1%} to {high:.1%})",
        fontsize=10,
    )
    axes.set_ylabel(f"accuracy, last {width} days")
    axes.legend(frameon=False, fontsize=8)
    axes.tick_params(labelsize=8)


def _draw_calibration(axes: Axes, report: WalkForwardReport) -> None:
    points = calibration(report)
    forecast, rose = [p[0] for p in points], [p[1] for p in points]
    error = [1.96 * np.sqrt(max(p[1] * (1 - p[1]), 1e-9) / p[2]) for p in points]
    low, high = min(*forecast, 0.45), max(*forecast, 0.55)
    axes.plot([low, high], [low, high], color=GREY, linewidth=0.8)
    axes.errorbar(forecast, rose, yerr=error, color=BLUE, marker="o", markersize=4, linewidth=1.0)
    axes.set_xlabel("forecast probability of a rise", fontsize=8)
    axes.set_ylabel("share that rose", fontsize=8)
    axes.set_title("calibration", fontsize=10)
    axes.tick_params(labelsize=8)


def _draw_confusion(axes: Axes, report: WalkForwardReport) -> None:
    table = confusion(report)
    axes.imshow(table, cmap="Blues", vmin=0, vmax=max(1, int(table.max()) * 2))
    for row in range(2):
        for column in range(2):
            axes.text(column, row, str(table[row, column]), ha="center", va="center", fontsize=9)
    axes.set_xticks([0, 1], ["rose", "did not"], fontsize=8)
    axes.set_yticks([0, 1], ["up", "not up"], fontsize=8)
    axes.set_ylabel("forecast", fontsize=8)
    axes.set_title("days", fontsize=10)


def _page(report: WalkForwardReport, picture: str) -> str:
    low, high = report.interval
    name, best = report.best_baseline
    lines = [
        f"# {report.symbol}: walk-forward score",
        "",
        f"{report.days} sealed days from {report.dates[0]} to {report.dates[-1]}, forecast {report.horizon} "
        f"day(s) ahead, in {len(report.folds)} folds. Attempt {report.attempt} on these days.",
        "",
        f"![score]({picture})",
        "",
        "| | share of days |",
        "|---|---|",
        f"| **model** (95 % by 20-day blocks: {low:.1%} to {high:.1%}) | **{report.accuracy:.1%}** |",
        *(f"| {key.replace('_', ' ')} | {value:.1%} |" for key, value in report.baselines.items()),
        "",
        f"Best baseline that a promotion has to beat: {name}, {best:.1%}. Pesaran-Timmermann, one-sided: "
        f"p {report.p_value:.3f}. Log loss {report.log_loss:.4f} nats; a coin has 0.6931.",
        "",
        "| fold | training rows | trained until | validated until | test | weights | accuracy |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {f.number} | {f.training_rows} | {f.trained_until} | {f.validated_until} | {f.first_day} to "
            f"{f.last_day} | {f.origin} | {f.accuracy:.1%} |"
            for f in report.folds
        ),
    ]
    return "\n".join(lines) + "\n"
