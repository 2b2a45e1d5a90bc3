"""The page on the European network, from the training that it describes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ml_assets.gates.core import GateResult
from ml_assets.gates.options.european import PinnThresholds
from ml_assets.pinn.european.closed_form import value_closed_form
from ml_assets.pinn.european.greeks import in_domain, value_network
from ml_assets.pinn.european.weights import PinnWeights
from ml_assets.pinn.quotes import make_quotes
from ml_assets.reports.networks import NetworkReport, loss_picture
from ml_assets.reports.pages import page
from ml_assets.reports.pictures import drawing

__all__ = ["SoftFigures", "european_report"]

Array = npt.NDArray[np.float64]
SoftFigures = Mapping[str, float | int | str]
"""Figures of the gates on the soft variant, with ``seconds`` and ``weights``."""

# What a gate measures, in words, its figure's name, and the limit's.
_ROWS = (
    ("put-call parity, largest error / S", "parity_max", "parity"),
    ("Black-Scholes residual, RMS, K per year", "residual_rms", "residual_rms"),
    ("price, largest error / K", "price_max", "price"),
    ("delta, relative L2 error", "delta_l2", "greeks"),
    ("gamma, relative L2 error", "gamma_l2", "greeks"),
    ("vega, relative L2 error", "vega_l2", "greeks"),
    ("theta, relative L2 error", "theta_l2", "greeks"),
    ("rho, relative L2 error", "rho_l2", "greeks"),
)


def european_report(
    weights: PinnWeights, results: Sequence[GateResult], soft: SoftFigures | None = None
) -> NetworkReport:
    """Build the page and its pictures; equal arguments give equal bytes.

    Parameters
    ----------
    weights : PinnWeights
    results : sequence of GateResult
        Of :func:`ml_assets.gates.options.european.pinn_gates` on these weights.
    soft : mapping, optional
        What the soft variant reached in the same run.
    """
    found = {name: value for result in results for name, value in result.figures.items()}
    limits = PinnThresholds()
    text = page(
        "european.md.j2",
        version=hashlib.sha256(weights.to_bytes()).hexdigest()[:12],
        weights=weights,
        results=results,
        found=found,
        rows=[(text, name, getattr(limits, limit)) for text, name, limit in _ROWS],
        soft=soft,
        ratio=float(soft["price_max"]) / max(float(found["price_max"]), 1e-300) if soft else None,
    )
    return NetworkReport(
        {
            "PINN_TRAINING_REPORT.md": text,
            "pinn/loss.png": loss_picture(weights),
            "pinn/errors.png": _error_picture(weights),
        }
    )


def _error_picture(weights: PinnWeights) -> bytes:
    """Errors over moneyness and total volatility, on logarithmic axes."""
    moneyness, s = np.exp(np.linspace(np.log(0.4), np.log(2.5), 121)), np.geomspace(0.01, 2.0, 100)
    m, total = (grid.ravel() for grid in np.meshgrid(moneyness, s))
    quotes = make_quotes(m, 1.0, 1.0, 0.0, total)
    inside = in_domain(quotes, weights.domain)
    with np.errstate(all="ignore"):
        found, exact = value_network(weights, quotes), value_closed_form(quotes)
    maps = {
        "price error / K": np.abs(found["price"] - exact["price"]),
        "gamma error / largest gamma": np.abs(found["gamma"] - exact["gamma"]) * total * np.sqrt(2 * np.pi),
        "residual, K per year": np.abs(found["theta"] + 0.5 * (total * m) ** 2 * found["gamma"]),
    }
    with drawing(10.0, 3.6) as picture:
        for axes, (title, values) in zip(
            picture.figure.subplots(1, 3, sharey=True), maps.items(), strict=True
        ):
            shown = np.where(inside, np.maximum(values, 1e-17), np.nan).reshape(s.size, moneyness.size)
            axes.set_facecolor("#dee2e6")
            axes.set(xscale="log", yscale="log", title=title, xlabel="moneyness F / K")
            powers = np.log10(shown)
            low = np.nanmax(powers) - 6.0
            image = axes.pcolormesh(moneyness, s, powers, shading="nearest", cmap="viridis", vmin=low)
            axes.set_xticks([0.5, 1.0, 2.0], ["0.5", "1", "2"])
            axes.minorticks_off()
            bar = picture.figure.colorbar(image, ax=axes)
            bar.ax.yaxis.set_major_formatter(lambda power, _: f"$10^{{{power:g}}}$")
            if axes.get_subplotspec().is_first_col():
                axes.set_ylabel("total volatility s")
    return picture.png
