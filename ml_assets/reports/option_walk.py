"""The page on the walk forward over option chains: table, pictures, and how to read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.chains.figures import EXPIRY_EDGES, MONEYNESS_EDGES, bucket_labels
from ml_assets.chains.forecasts import MODELS
from ml_assets.chains.smile import COEFFICIENTS, PRIOR
from ml_assets.chains.walk_forward import OptionWalkForward
from ml_assets.pinn.serving.pricer import NetworkPricer
from ml_assets.reports.pages import page
from ml_assets.reports.pictures import BLUE, GREY, ORANGE, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["walk_pages", "walk_table"]

_COLORS = {"sticky_moneyness": ORANGE, "sticky_strike": GREY, "smile": BLUE}
_NAMES = {
    "last_price": "yesterday's price",
    "flat": "flat vol per expiry",
    "sticky_moneyness": "sticky moneyness",
    "sticky_strike": "sticky strike",
    "smile": "smile model",
}
_GROUPS = {
    "moneyness": ("strike / forward", bucket_labels(MONEYNESS_EDGES)),
    "expiry": ("time to expiry", bucket_labels(EXPIRY_EDGES, " d")),
}
Figures = Mapping[str, Mapping[str, Mapping[str, float]]]


def _figures(walk: OptionWalkForward, group: str) -> Figures:
    """Figures of a group by bucket and model."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    rows = walk.figures[walk.figures["group"] == group]
    for row in rows.drop(columns="group").to_dict("records"):
        bucket, model = str(row.pop("bucket")), str(row.pop("model"))
        found.setdefault(bucket, {})[model] = {str(name): float(value) for name, value in row.items()}
    return found


def walk_table(walk: OptionWalkForward) -> str:
    """Figures over all options as Markdown, one row per model."""
    rows = ["| model | MAE $ | RMSE $ | vol points | R² | inside bid-ask |", "|---|---|---|---|---|---|"]
    for model in MODELS:
        row = _figures(walk, "all")["all"][model]
        rows.append(
            f"| {_NAMES[model]} | {row['mae']:.3f} | {row['rmse']:.3f} | {row['vol_points']:.2f} | "
            f"{row['r2']:.4f} | {row['inside']:.1%} |"
        )
    return "\n".join(rows)


def _day_picture(walk: OptionWalkForward) -> bytes:
    """Mean absolute error by day, as PNG."""
    days = _figures(walk, "day")
    dates = np.array(list(days), dtype="datetime64[D]")
    with drawing() as picture:
        axes = picture.figure.subplots()
        for model, color in _COLORS.items():
            errors = [day[model]["mae"] for day in days.values()]
            style = "-" if model == "smile" else "--"
            axes.plot(dates, errors, style, color=color, label=_NAMES[model], linewidth=1.4)
        axes.set_ylabel("mean absolute error, $")
        axes.set_ylim(bottom=0.0)
        axes.set_title(f"{_label(walk)}error of the next day's option prices")
        axes.legend(frameon=False)
        picture.figure.autofmt_xdate()
    return picture.png


def _bucket_picture(walk: OptionWalkForward) -> bytes:
    """Mean absolute error by strike over forward and by time to expiry, as PNG."""
    with drawing(width=9.0) as picture:
        both = picture.figure.subplots(1, 2)
        for axes, group in zip(both, _GROUPS, strict=True):
            _draw_bars(axes, walk, group)
        both[0].set_ylabel("mean absolute error, $")
        handles = both[0].get_legend_handles_labels()
        picture.figure.legend(*handles, loc="outside lower center", ncols=len(_COLORS), frameon=False)
        picture.figure.suptitle(f"{_label(walk)}error by kind of option")
    return picture.png


def _draw_bars(axes: Axes, walk: OptionWalkForward, group: str) -> None:
    name, labels = _GROUPS[group]
    figures = _figures(walk, group)
    shown = [label for label in labels if label in figures]
    for number, (model, color) in enumerate(_COLORS.items()):
        place = np.arange(len(shown)) + 0.27 * (number - 1)
        axes.bar(place, [figures[s][model]["mae"] for s in shown], 0.25, color=color, label=_NAMES[model])
    axes.set_xticks(np.arange(len(shown)), shown, fontsize=8)
    axes.set_xlabel(name)


def walk_pages(walk: OptionWalkForward, pricer: NetworkPricer) -> dict[str, bytes]:
    """The page and its pictures, by path under ``reports/``.

    Parameters
    ----------
    walk : OptionWalkForward
    pricer : NetworkPricer
        What has priced the walk.
    """
    place = f"options/{walk.name}"
    pictures = {f"{place}_by_day.png": _day_picture(walk), f"{place}_by_kind.png": _bucket_picture(walk)}
    text = page(
        "option_walk_forward.md.j2",
        walk=walk,
        pricer=pricer,
        label=_label(walk),
        first=walk.forecasts["date"].min().date(),
        last=walk.forecasts["date"].max().date(),
        table=walk_table(walk),
        gain=_gain(walk),
        bucket_tables=[_bucket_table(walk, group) for group in _GROUPS],
    )
    return {f"{place}.md": text, **pictures}


def _gain(walk: OptionWalkForward) -> str:
    """What the smile model adds to sticky strike, in words."""
    overall = _figures(walk, "all")["all"]
    share = 1.0 - overall["smile"]["mae"] / overall["sticky_strike"]["mae"]
    mean, error, won = walk.gain()
    last = walk.forecasts.iloc[-1]
    learnt = ", ".join(f"{c} {last[c]:.2f} (prior {p:g})" for c, p in zip(COEFFICIENTS, PRIOR, strict=True))
    return (
        f"The smile model's error is {abs(share):.1%} {'below' if share >= 0 else 'above'} sticky strike's: "
        f"${mean:.3f} a day less, standard error ${error:.3f} over days; it is the better one on {won} of "
        f"{walk.days} days. Its coefficients on the last day, learnt from earlier days alone: {learnt}."
    )


def _bucket_table(walk: OptionWalkForward, group: str) -> str:
    """Mean absolute errors by bucket, as Markdown."""
    name, labels = _GROUPS[group]
    figures = _figures(walk, group)
    titles = " | ".join(f"{_NAMES[model]}, MAE $" for model in MODELS)
    rows = [f"| {name} | options | {titles} | smile inside bid-ask |", "|---" * (len(MODELS) + 3) + "|"]
    for label in labels:
        if label in figures:
            errors = " | ".join(f"{figures[label][model]['mae']:.3f}" for model in MODELS)
            smile = figures[label]["smile"]
            rows.append(f"| {label} | {smile['options']:,.0f} | {errors} | {smile['inside']:.1%} |")
    return "\n".join(rows)


def _label(walk: OptionWalkForward) -> str:
    return "SIMULATED: " if walk.simulated else ""
