"""The page on the option network's training, from the training that it describes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ml_assets.gates.core import GateResult
from ml_assets.gates.options.options import PinnThresholds
from ml_assets.pinn.european.closed_form import value_closed_form
from ml_assets.pinn.european.greeks import in_domain, value_network
from ml_assets.pinn.quotes import make_quotes
from ml_assets.pinn.weights import PinnWeights
from ml_assets.reports.pictures import BLUE, GREY, ORANGE, drawing

__all__ = ["SoftFigures", "training_pages"]

Array = npt.NDArray[np.float64]
SoftFigures = Mapping[str, float | int | str]
"""Figures of the gates on the soft variant, with ``seconds`` and ``weights``."""

_PAGE, _LOSS, _ERRORS = "PINN_TRAINING_REPORT.md", "pinn/loss.png", "pinn/errors.png"
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


def training_pages(
    weights: PinnWeights, results: Sequence[GateResult], soft: SoftFigures | None = None
) -> dict[str, bytes]:
    """Build the page and its pictures.

    Parameters
    ----------
    weights : PinnWeights
    results : sequence of GateResult
        Of :func:`ml_assets.gates.options.options.pinn_gates` on these weights.
    soft : mapping, optional
        What the soft variant reached in the same run.

    Returns
    -------
    dict of str to bytes
        Path under ``reports/`` to content; equal arguments give equal bytes.
    """
    figures = {name: value for result in results for name, value in result.figures.items()}
    text = "\n".join(
        [
            "# Training of the option network",
            "",
            f"Written by the run that trained version `{_sha256(weights)[:12]}` of `pinn_weights`. "
            "How it is done: `docs/PINN_TRAINING.md`.",
            "",
            "## Gates",
            "",
            *_gate_lines(results, figures, soft),
            "",
            "## Loss",
            "",
            f"![loss curve]({_LOSS})",
            "",
            "## Errors against the closed form",
            "",
            f"![error maps]({_ERRORS})",
            "",
            "Grey: outside of the training domain, where the closed form answers. No price was used in the "
            "training. Errors below a millionth of the largest are drawn alike.",
            "",
            "## Recipe",
            "",
            *_recipe_lines(weights),
            "",
            "## Why hard constraints",
            "",
            *_constraint_lines(weights, figures, soft),
            "",
        ]
    )
    return {_PAGE: text.encode(), _LOSS: _loss_picture(weights), _ERRORS: _error_picture(weights)}


def _sha256(weights: PinnWeights) -> str:
    return hashlib.sha256(weights.to_bytes()).hexdigest()


def _gate_lines(
    results: Sequence[GateResult], figures: Mapping[str, float | int | str], soft: SoftFigures | None
) -> list[str]:
    limits = PinnThresholds()
    checked = sum(result.checked for result in results)
    passed = sum(result.passed for result in results)
    lines = [
        f"{passed} of {len(results)} gates passed, {checked:,} comparisons on the fixed grid (S/K 0.5-2, "
        "1 day to 2 years, sigma 5-80 %, r 0-10 %, q 0-8 %).",
        "",
        f"| figure | this network | limit | margin |{' soft constraints |' if soft else ''}",
        f"|---|---|---|---|{'---|' if soft else ''}",
    ]
    for text, name, limit in _ROWS:
        found, most = float(figures[name]), float(getattr(limits, limit))
        margin = f"{most / found:,.0f} x" if found > 0 else "exact"
        lines.append(
            f"| {text} | {found:.1e} | {most:.0e} | {margin} |" + (f" {soft[name]:.1e} |" if soft else "")
        )
    violations = f"| arbitrage violations | {int(figures['violations']):,} | 0 | |"
    return [*lines, violations + (f" {int(soft['violations']):,} |" if soft else "")]


def _recipe_lines(weights: PinnWeights) -> list[str]:
    domain, figures = weights.domain, {name: _short(value) for name, value in weights.figures.items()}
    size = weights.parameters.size
    rows = {
        "network": f"{weights.depth} tanh layers of {weights.width}, {size} weights, float64",
        "domain": f"s = sigma sqrt(tau) in [{domain.s_min:g}, {domain.s_max:g}], abs(ln(F/K)) <= "
        f"{domain.x_max:g} and <= {domain.z_max:g} s",
        "collocation points": figures["points"],
        "first phase": f"Adam, {figures['adam_steps']} steps, loss then {figures['loss_after_adam']}",
        "second phase": f"self-scaled BFGS, {figures['bfgs_iterations']} iterations, "
        f"{figures['bfgs_evaluations']} evaluations, ended by: {figures['bfgs_ended_by']}",
        "loss at the end, on points no step has seen": figures["loss"],
        "seed": str(weights.seed),
    }
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]


def _short(value: float | int | str) -> str:
    return f"{value:.2e}" if isinstance(value, float) else str(value)


def _constraint_lines(
    weights: PinnWeights, figures: Mapping[str, float | int | str], soft: SoftFigures | None
) -> list[str]:
    lines = [
        "Parity, the lower bound, the payoff at expiry and the far boundary are built into the form of the "
        "network: they hold for any weights, and all of the training goes into the equation. At the end of "
        f"this run the boundary's part of the loss was {_short(weights.figures['loss_boundary'])}, that of "
        f"parity {_short(weights.figures['loss_parity'])}: rounding.",
    ]
    if soft is None:
        return [*lines, "", "The soft variant was not trained in this run (`ML_ASSETS_PINN_SOFT=false`)."]
    ratio = float(soft["price_max"]) / max(float(figures["price_max"]), 1e-300)
    return [
        *lines,
        "",
        f"With the same conditions as terms of the loss (a plain network in five inputs, {soft['weights']:,} "
        f"weights, {soft['seconds']} s in this run) the largest price error is "
        f"{float(soft['price_max']):.1e} K, {ratio:.0e} times larger; parity is off by up to "
        f"{float(soft['parity_max']):.1e} of S, and {int(soft['violations']):,} comparisons show arbitrage. "
        "`python -m benchmarks.pinn_accuracy` trains a larger one for longer, beside other optimizers.",
    ]


def _loss_picture(weights: PinnWeights) -> bytes:
    with drawing(7.0, 3.2) as picture:
        axes = picture.figure.subplots()
        steps, losses = weights.history[:, 0], weights.history[:, 1]
        adam = int(weights.figures.get("adam_steps", 0))
        for mask, color, name in (
            (steps <= adam, ORANGE, "Adam"),
            (steps >= adam, BLUE, "self-scaled BFGS"),
        ):
            if mask.any():
                axes.semilogy(steps[mask], losses[mask], color=color, label=name, linewidth=1.5)
        axes.set(xlabel="step", ylabel="loss (mean squared residual)")
        axes.grid(color=GREY, alpha=0.2)
        if axes.lines:
            axes.legend(frameon=False)
    return picture.png


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
