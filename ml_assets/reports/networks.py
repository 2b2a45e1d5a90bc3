"""What the pages on both option networks share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ml_assets.pinn.weights import NetworkWeights
from ml_assets.reports.pictures import BLUE, GREY, ORANGE, drawing

__all__ = ["NetworkReport", "loss_picture"]


@dataclass(frozen=True)
class NetworkReport:
    """What the run that trained a network shows of it.

    Attributes
    ----------
    pages : mapping of str to bytes
        Files for people, by path under ``reports/``; the UI shows the pictures among them.
    tables : mapping of str to str
        Markdown for the UI, by name.
    """

    pages: Mapping[str, bytes]
    tables: Mapping[str, str] = field(default_factory=dict)


def loss_picture(weights: NetworkWeights) -> bytes:
    """Loss along the two phases of a training, PNG; each peak is a new draw of points."""
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
