"""The page on the walk forward over option chains: table, pictures, and how to read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.chains.figures import EXPIRY_EDGES, MONEYNESS_EDGES, bucket_labels
from ml_assets.chains.smile import COEFFICIENTS, PRIOR
from ml_assets.chains.walk_forward import OptionWalkForward
from ml_assets.pinn.serving.pricer import NetworkPricer
from ml_assets.reports.pages import page, rendered
from ml_assets.reports.pictures import BLUE, GREY, ORANGE, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["walk_pages", "walk_table"]

_COLORS = {"sticky_moneyness": ORANGE, "sticky_strike": GREY, "smile": BLUE}
# In the order of `ml_assets.chains.forecasts.MODELS`, in which the tables list them.
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
    return rendered("option_walk_table.md.j2", figures=_figures(walk, "all")["all"], names=_NAMES).rstrip()


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
    overall, last = _figures(walk, "all")["all"], walk.forecasts.iloc[-1]
    groups = {}
    for group, (title, labels) in _GROUPS.items():
        found = _figures(walk, group)
        groups[title] = {label: found[label] for label in labels if label in found}
    text = page(
        "option_walk_forward.md.j2",
        walk=walk,
        pricer=pricer,
        label=_label(walk),
        first=walk.forecasts["date"].min().date(),
        last=walk.forecasts["date"].max().date(),
        names=_NAMES,
        figures=overall,
        share=1.0 - overall["smile"]["mae"] / overall["sticky_strike"]["mae"],
        gain=walk.gain(),
        coefficients=[(c, last[c], prior) for c, prior in zip(COEFFICIENTS, PRIOR, strict=True)],
        groups=groups,
    )
    return {f"{place}.md": text, **pictures}


def _label(walk: OptionWalkForward) -> str:
    return "SIMULATED: " if walk.simulated else ""
