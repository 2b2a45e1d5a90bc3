"""What a model is trained for: targets per step, a loss, and a second figure to watch beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ml_assets.mamba.config import MambaConfig, TrainingRecipe
from ml_assets.training.backend import tf

__all__ = ["Objective", "objective_of"]

Tensor = Any


@dataclass(frozen=True)
class Objective:
    """Loss of the outputs of every step, averaged over the steps whose target is known.

    Parameters
    ----------
    width : int
        Targets per step; NaN in the first says "do not score".
    figure : str
        Name of the second figure.
    loss : callable
        ``(outputs, targets) -> scalar``, trained on.
    score : callable
        ``(outputs, targets) -> (loss, figure)``, for the validation rows.
    known : callable
        ``targets -> bool``, one per term of the loss: which targets are known. Loss and figure are means over
        them, so a part of a batch weighs as many as it has.
    """

    width: int
    figure: str
    loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    known: Callable[[Tensor], Tensor]


def objective_of(config: MambaConfig, recipe: TrainingRecipe) -> Objective:
    """Return what a model of this configuration is trained for: direction and return, or variance.

    Direction: targets are 1 for up, 0 for not up, then the standardized return. Variance: one target per
    horizon, the realized variance as a ratio to the forecast that the model starts from.
    """
    if config.variance_heads:
        return Objective(
            config.variance_heads, "calibration", _quasi_likelihood, _variance_score, tf.math.is_finite
        )
    return Objective(
        2,
        "accuracy",
        lambda out, targets: _direction(out, targets, recipe.return_weight),
        _direction_score,
        _direction_known,
    )


def _direction_known(targets: Tensor) -> Tensor:
    return tf.math.is_finite(targets[..., 0])


def _direction(out: Tensor, targets: Tensor, return_weight: float) -> Tensor:
    """Cross-entropy of direction plus a Huber loss on the standardized return, where it has a head."""
    scored = _direction_known(targets)
    # Unknown targets are replaced before the loss, not after: the gradient of a masked NaN is NaN.
    targets = tf.where(scored[..., None], targets, tf.zeros_like(targets))
    loss = _cross_entropy(out[..., 0], targets[..., 0])
    if out.shape[-1] > 1:
        error = out[..., 1] - targets[..., 1]
        size = tf.abs(error)
        loss += return_weight * tf.where(size < 1.0, 0.5 * error**2, size - 0.5)
    return _mean(loss, scored)


def _direction_score(out: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy, and the share of directions that were right."""
    logit = out[..., 0]
    up, scored = targets[..., 0], _direction_known(targets)
    right = tf.cast((logit > 0) == (up > 0.5), tf.float32)
    return _mean(_cross_entropy(logit, up), scored), _mean(right, scored)


def _quasi_likelihood(out: Tensor, targets: Tensor) -> Tensor:
    """QLIKE in the logarithm of the ratio: ``z + ratio exp(-z)``, least where exp(z) is the mean ratio.

    The Gaussian quasi-likelihood (Bollerslev and Wooldridge 1992), up to terms without z.
    """
    scored = tf.math.is_finite(targets)
    ratio = tf.where(scored, targets, tf.ones_like(targets))
    return _mean(out + ratio * tf.exp(-out), scored)


def _variance_score(out: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, and the mean of realized over forecast variance: 1 if the level is right."""
    scored = tf.math.is_finite(targets)
    return _quasi_likelihood(out, targets), _mean(targets * tf.exp(-out), scored)


def _cross_entropy(logit: Tensor, up: Tensor) -> Tensor:
    # softplus(z) - up z
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=up, logits=logit)


def _mean(values: Tensor, scored: Tensor) -> Tensor:
    kept = tf.where(scored, values, tf.zeros_like(values))
    return tf.reduce_sum(kept) / tf.maximum(tf.reduce_sum(tf.cast(scored, values.dtype)), 1.0)
