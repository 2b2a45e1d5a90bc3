"""Report on the American network: accuracy beside QuantLib's engines, the boundary, the training."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_assets.gates.core import GateResult
from ml_assets.gates.options.american import AmericanThresholds
from ml_assets.gates.options.american_reference import reference_prices
from ml_assets.pinn.american.boundary import boundary
from ml_assets.pinn.american.quantlib import QuantLibReference, ReferenceMissingError
from ml_assets.pinn.american.value import value_boundary
from ml_assets.pinn.american.weights import AmericanWeights
from ml_assets.pinn.quotes import Quotes
from ml_assets.reports.networks import NetworkReport, loss_picture
from ml_assets.reports.pages import page, rendered
from ml_assets.reports.pictures import BLUE, GREY, ORANGE, RED, drawing

__all__ = ["AccuracyRow", "accuracy_rows", "american_report"]

Array = npt.NDArray[np.float64]

_FOLDER = "american"


@dataclass(frozen=True)
class AccuracyRow:
    """One method on the options of the price gate.

    Attributes
    ----------
    method : str
    largest, mean : float
        Error against QuantLib's high-precision scheme, per unit of strike.
    microseconds : float
        Per option, price only for QuantLib, with all Greeks for the network.
    """

    method: str
    largest: float
    mean: float
    microseconds: float


_PEERS: dict[str, Callable[[Any, Any], Any]] = {
    "QuantLib QdFp accurate": lambda ql, p: ql.QdFpAmericanEngine(p, ql.QdFpAmericanEngine.accurateScheme()),
    "QuantLib QdFp fast": lambda ql, p: ql.QdFpAmericanEngine(p, ql.QdFpAmericanEngine.fastScheme()),
    "Bjerksund-Stensland (QuantLib)": lambda ql, p: ql.BjerksundStenslandApproximationEngine(p),
    "Barone-Adesi-Whaley (QuantLib)": lambda ql, p: ql.BaroneAdesiWhaleyApproximationEngine(p),
}


def accuracy_rows(weights: AmericanWeights, limits: AmericanThresholds) -> list[AccuracyRow]:
    """The network and QuantLib's quick engines on the options of the price gate, in one run.

    Raises
    ------
    ReferenceMissingError
        If QuantLib cannot be imported.
    """
    quotes, truth = reference_prices(limits.domain, limits.options, limits.per_axis, limits.seed)
    methods: dict[str, Callable[[Quotes], Array]] = {
        "boundary network, all Greeks": lambda q: value_boundary(weights, q)["price"],
        **{name: _peer(engine) for name, engine in _PEERS.items()},
    }
    rows = []
    for name, price in methods.items():
        start = time.perf_counter()
        found = price(quotes)
        seconds = time.perf_counter() - start
        error = np.abs(found - truth) / quotes.K
        refused = int(np.isnan(error).sum())
        if refused:
            name += f", {refused} of {error.size} refused"
        rows.append(
            AccuracyRow(name, float(np.nanmax(error)), float(np.nanmean(error)), seconds / error.size * 1e6)
        )
    return rows


def _peer(engine: Callable[[Any, Any], Any]) -> Callable[[Quotes], Array]:
    """Prices by an engine of QuantLib; NaN where it refuses, as approximations do in corners of the box."""

    def price_or_nan(option: Any) -> float:
        try:
            return float(option.NPV())
        except RuntimeError:
            return float("nan")

    return lambda quotes: QuantLibReference(engine).ask(quotes, price_or_nan)


def _boundary_picture(weights: AmericanWeights) -> bytes:
    """Boundary against time to expiry, for rates below, at and above the yield, PNG."""
    tau = np.linspace(1e-3, weights.domain.tau_max, 300)
    sigma = 0.2
    one = np.ones_like(tau)
    with drawing(7.0, 3.2) as picture:
        axes = picture.figure.subplots()
        for (r, q), color in zip(
            ((0.08, 0.0), (0.05, 0.02), (0.05, 0.05), (0.03, 0.06)), (BLUE, GREY, ORANGE, RED), strict=True
        ):
            log_b = boundary(weights, sigma * np.sqrt(tau), r / sigma**2 * one, q / sigma**2 * one)
            axes.plot(tau, np.exp(log_b), color=color, label=f"r {r:.0%}, q {q:.0%}")
        axes.set_xlabel("years to expiry")
        axes.set_ylabel("boundary / strike")
        axes.set_title("a put is exercised below the line (volatility 20 %)", fontsize=10)
        axes.legend(frameon=False, fontsize=8)
    return picture.png


def _error_picture(weights: AmericanWeights, limits: AmericanThresholds) -> bytes:
    """Price error of each option of the gate against its total volatility, PNG."""
    quotes, truth = reference_prices(limits.domain, limits.options, limits.per_axis, limits.seed)
    error = np.abs(value_boundary(weights, quotes)["price"] - truth) / quotes.K
    with drawing(7.0, 3.2) as picture:
        axes = picture.figure.subplots()
        axes.loglog(quotes.s, np.maximum(error, 1e-12), ".", color=BLUE, markersize=2.0)
        axes.axhline(limits.price_max, color=RED, linewidth=0.8)
        axes.set_xlabel("total volatility, sigma sqrt(tau)")
        axes.set_ylabel("price error / K")
        axes.set_title("against QuantLib QdFp, high precision; the line is the gate's limit", fontsize=10)
    return picture.png


def american_report(
    weights: AmericanWeights, results: Sequence[GateResult], limits: AmericanThresholds, seconds: float
) -> NetworkReport:
    """Draw and write the report.

    Parameters
    ----------
    weights : AmericanWeights
    results : sequence of GateResult
        What the gates said about these weights.
    limits : AmericanThresholds
        Of the gates; they also choose the options of the table.
    seconds : float
        What the training took.

    Returns
    -------
    NetworkReport
        Without pages if QuantLib is missing: then the gates fail, too, and say so.
    """
    try:
        table = rendered("american_table.md.j2", rows=accuracy_rows(weights, limits)).rstrip()
    except ReferenceMissingError as error:
        return NetworkReport({}, {"accuracy": str(error)})
    options = limits.options + 6 * limits.per_axis**4
    text = page(
        "american.md.j2", weights=weights, results=results, seconds=seconds, options=options, table=table
    )
    pages = {
        f"{_FOLDER}/AMERICAN_REPORT.md": text,
        f"{_FOLDER}/errors.png": _error_picture(weights, limits),
        f"{_FOLDER}/boundary.png": _boundary_picture(weights),
        f"{_FOLDER}/training.png": loss_picture(weights),
    }
    return NetworkReport(pages, {"accuracy": table})
