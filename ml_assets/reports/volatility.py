"""A symbol's sealed variance forecasts as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ml_assets.forecasts.variance.report import HorizonScore, VolatilityReport
from ml_assets.reports.pictures import BLUE, GREY, ORANGE, drawing
from ml_assets.storage.symbols import slug

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["volatility_pages"]

_YEAR = 252  # trading days


def _picture(report: VolatilityReport) -> bytes:
    """Draw forecast against realized volatility, and QLIKE by model, at each horizon."""
    rows = len(report.scores)
    with drawing(11.0, 3.2 * rows) as picture:
        grid = picture.figure.subplots(rows, 2, width_ratios=(2.4, 1.0), squeeze=False)
        for axes, score in zip(grid, report.scores, strict=True):
            _draw_over_time(axes[0], report.symbol, score)
            _draw_losses(axes[1], score)
    return picture.png


def volatility_pages(report: VolatilityReport) -> dict[str, bytes]:
    """Return the page of one symbol and its picture, by path."""
    folder, name = "volatility", slug(report.symbol)
    return {
        f"{folder}/{name}.png": _picture(report),
        f"{folder}/{name}.md": _page(report, f"{name}.png").encode(),
    }


def _yearly(variance: list[float], horizon: int) -> np.ndarray:
    """Volatility in percent per year."""
    return np.asarray(100.0 * np.sqrt(np.array(variance) * _YEAR / horizon))


def _draw_over_time(axes: Axes, symbol: str, score: HorizonScore) -> None:
    days = np.array(score.dates, dtype="datetime64[D]")
    axes.plot(days, _yearly(score.realized, score.horizon), ".", color=GREY, markersize=2, label="realized")
    lines = {score.best_baseline: (score.baseline_forecast, ORANGE), "model": (score.forecast, BLUE)}
    for name, (forecast, color) in lines.items():
        axes.plot(days, _yearly(forecast, score.horizon), color=color, linewidth=1.1, label=name)
    axes.set_title(f"{symbol}: next {score.horizon} day(s), {score.days} sealed days", fontsize=10)
    axes.set_ylabel("volatility, % a year", fontsize=8)
    axes.legend(frameon=False, fontsize=8)
    axes.tick_params(labelsize=8)


def _draw_losses(axes: Axes, score: HorizonScore) -> None:
    """Differences to the model: the level of QLIKE depends on the symbol and says nothing."""
    names = sorted((n for n in score.qlike if n != "model"), key=score.qlike.__getitem__, reverse=True)
    axes.barh(names, [score.qlike[n] - score.qlike["model"] for n in names], color=ORANGE)
    axes.axvline(0.0, color=BLUE, linewidth=1.2)
    axes.set_xlabel("QLIKE above the model's, nats", fontsize=8)
    axes.set_title(f"p {score.p_value:.3f} against {score.best_baseline}", fontsize=10)
    axes.tick_params(labelsize=8)


def _page(report: VolatilityReport, picture: str) -> str:
    lines = [
        f"# {report.symbol}: variance forecasts",
        "",
        f"{len(report.folds)} folds, a model trained before each. Attempt {report.attempt} on these days.",
        "",
        f"![forecasts]({picture})",
    ]
    for score in report.scores:
        lines += [
            "",
            f"## Next {score.horizon} day(s)",
            "",
            f"{score.days} sealed days from {score.dates[0]} to {score.dates[-1]}. Realized over forecast "
            f"variance, mean: {score.calibration:.3f}.",
            "",
            "| forecast | QLIKE, nats | MSE, (%²/day)² | p: model no better |",
            "|---|---|---|---|",
        ]
        for name in sorted(score.qlike, key=score.qlike.__getitem__):
            p = "" if name == "model" else f"{score.p_values[name]:.4f}"
            shown = f"**{name}**" if name == "model" else name
            lines.append(f"| {shown} | {score.qlike[name]:.4f} | {score.mse[name]:.2f} | {p} |")
    lines += [
        "",
        "| fold | training rows | trained until | known until | test | QLIKE of model, of best baseline |",
        "|---|---|---|---|---|---|",
    ]
    for fold in report.folds:
        losses = "; ".join(
            f"{h} d: {ours:.4f}, {theirs:.4f}"
            for h, ours, theirs in zip(report.horizons, fold.qlike, fold.baseline_qlike, strict=True)
        )
        lines.append(
            f"| {fold.number} | {fold.training_rows} | {fold.trained_until} | {fold.known_until} | "
            f"{fold.first_day} to {fold.last_day} | {losses} |"
        )
    return "\n".join(lines) + "\n"
