"""Figures of a model on the validation rows, with the baselines that make them honest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_assets.windows.augmented_set import AugmentedSet

__all__ = ["direction_figures", "direction_losses", "validation_figures"]

Outputs = NDArray[np.float32]


def validation_figures(augmented: AugmentedSet, untrained: Outputs, outputs: Outputs) -> dict[str, float]:
    """Compare a trained model with itself untrained and with the majority class.

    The majority class and its share are those of the original *training* rows.

    Parameters
    ----------
    augmented : AugmentedSet
        Gives the labels.
    untrained, outputs : ndarray (n_val, outputs)
        Outputs of the last step on the validation rows, before and after training.

    Returns
    -------
    dict of str to float
        ``rows``, ``up_share``, and ``loss`` (cross-entropy per row in nats) and ``accuracy``, each also
        as ``untrained_...`` and ``majority_...``.
    """
    known = np.isfinite(augmented.y_val)
    up = augmented.y_val[known] > 0
    share = np.clip(np.mean(augmented.y[~augmented.is_copy] > 0), 1e-6, 1 - 1e-6)
    logits = {
        "": outputs[known, 0],
        "untrained_": untrained[known, 0],
        "majority_": np.full(len(up), np.log(share / (1 - share))),
    }
    figures = {"rows": float(len(up)), "up_share": float(np.mean(up))}
    for name, logit in logits.items():
        figures[f"{name}loss"], figures[f"{name}accuracy"] = direction_figures(logit, up)
    return figures


def direction_losses(augmented: AugmentedSet, outputs: Outputs) -> NDArray[np.float64]:
    """Cross-entropy of each validation row with a known label, in nats, (n,)."""
    known = np.isfinite(augmented.y_val)
    return _cross_entropy(outputs[known, 0], augmented.y_val[known] > 0)


def direction_figures(logit: NDArray[np.floating], up: NDArray[np.bool_]) -> tuple[float, float]:
    """Return cross-entropy per row in nats and accuracy of logits against directions, both (n,)."""
    return float(np.mean(_cross_entropy(logit, up))), float(np.mean((logit > 0) == up))


def _cross_entropy(logit: NDArray[np.floating], up: NDArray[np.bool_]) -> NDArray[np.float64]:
    logit = logit.astype(np.float64)
    with np.errstate(invalid="ignore"):  # a logit that is no number gives a loss that is none
        loss: NDArray[np.float64] = np.logaddexp(0.0, logit) - up * logit
    return loss
