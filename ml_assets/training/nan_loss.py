"""What to know when a loss is not a number, or has exploded."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["explodes", "first_bad_epoch", "handle_nan_loss", "losses_of"]

logger = logging.getLogger(__name__)


def losses_of(history: Any) -> list[float]:
    """Return the losses per epoch of a Keras ``History``, its dict, or a plain sequence."""
    values = getattr(history, "history", history)
    if isinstance(values, Mapping):
        values = values.get("loss", [])
    return [float(value) for value in values]


def explodes(loss: float, before: Sequence[float], factor: float) -> bool:
    """Say whether a loss lies above the best one before it by more than `factor` times that one's size."""
    best = min(before, default=math.inf)
    return loss > best + factor * max(abs(best), 1e-8)


def first_bad_epoch(losses: Sequence[float], explosion_factor: float = math.inf) -> int | None:
    """Return the index of the first loss that is NaN, infinite or exploded, or ``None``."""
    for epoch, loss in enumerate(losses):
        if not math.isfinite(loss) or explodes(loss, losses[:epoch], explosion_factor):
            return epoch
    return None


def handle_nan_loss(
    model: Any,
    history: Any,
    *,
    gradient_norms: Mapping[str, float] | None = None,
    explosion_factor: float = math.inf,
) -> dict[str, Any]:
    """Describe a loss that is not a number or has exploded, and log the norms by which to find its cause.

    Parameters
    ----------
    model : keras.Model
        The model whose training failed; only read.
    history : keras History, mapping or sequence of float
        The losses per epoch.
    gradient_norms : mapping of str to float, optional
        Norm of each weight's gradient on a batch, where it is known.
    explosion_factor : float
        A loss above the best one before it by this many times its size has exploded.

    Returns
    -------
    dict
        ``stopped_early`` (False if every loss is in order), ``stop_reason``, ``nan_epoch`` (from 0),
        ``last_good_loss``, ``layer_norms`` and ``gradient_norms``.
    """
    losses = losses_of(history)
    epoch = first_bad_epoch(losses, explosion_factor)
    if epoch is None:
        return {"stopped_early": False, "stop_reason": None, "nan_epoch": None, "layer_norms": {},
                "gradient_norms": {}, "last_good_loss": losses[-1] if losses else None}  # fmt: skip
    layers = _norms(model)
    gradients = dict(gradient_norms or {})
    last_good = losses[epoch - 1] if epoch else None
    what = "exploding loss" if math.isfinite(losses[epoch]) else "NaN loss"
    logger.warning(
        "%s detected at epoch %d (last good loss %s). Weight norms: %s. Gradient norms: %s. Lower "
        "the learning rate, clip gradients, and look for NaN or extreme values in the inputs.",
        what, epoch + 1, last_good, _shown(layers), _shown(gradients) or "unknown",
    )  # fmt: skip
    return {
        "stopped_early": True,
        "stop_reason": f"{what} detected at epoch {epoch + 1} (last good loss {last_good})",
        "nan_epoch": epoch,
        "last_good_loss": last_good,
        "layer_norms": layers,
        "gradient_norms": gradients,
    }


def _norms(model: Any) -> dict[str, float]:
    return {w.path: float(np.linalg.norm(np.asarray(w))) for w in getattr(model, "weights", [])}


def _shown(norms: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {norm:.3g}" for name, norm in norms.items())
