"""Gates on a trained Mamba model: is it whole, is it what was trained, on what, and did it learn?

Artifacts in, a :class:`GateResult` out. TensorFlow is imported late, by the gates that rebuild a model.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.models._reload import read_again, require_recorded, require_same_outputs
from ml_assets.mamba.config import MambaConfig
from ml_assets.mamba.shapes import layer_of, weight_shapes

if TYPE_CHECKING:
    from ml_assets.mamba.weights import MambaWeights, StoredModel
    from ml_assets.windows.augmented_set import AugmentedSet

__all__ = [
    "learned",
    "training_rows_only",
    "untrained_arrays",
    "weights_finite_and_complete",
    "weights_reload",
]

Arrays = Mapping[str, NDArray[Any]]


def weights_finite_and_complete(weights: StoredModel) -> GateResult:
    """Every weight that the configuration names is there, in its shape, finite, and training moved it.

    A layer has moved if any of its weights differs from the seeded start. That start is rebuilt here, so
    that a file of untrained weights does not pass.

    Parameters
    ----------
    weights : StoredModel
        The candidate.

    Returns
    -------
    GateResult
        On failure: the weight and both shapes, or the number of bad values, or the layers that never moved.
    """
    symbol, arrays = weights.symbol, weights.arrays

    def inspect(tally: Tally) -> str:
        wanted = weight_shapes(weights.config, len(weights.feature_names))
        for path in sorted(set(wanted) | set(arrays)):
            found = arrays[path].shape if path in arrays else None
            said = wanted.get(path)
            require(
                found == said, f"{symbol}: weight {path} has shape {found}, the configuration says {said}"
            )
        for path, values in arrays.items():
            bad = int(np.count_nonzero(~np.isfinite(values)))
            require(not bad, f"{symbol}: weight {path} holds {bad} of {values.size} values not finite")
            tally.checked += values.size
        still = _unmoved_layers(arrays, untrained_arrays(weights))
        require(not still, f"{symbol}: training never changed {', '.join(still)}: they are as initialized")
        return (
            f"{symbol}: {len(wanted)} weights, {tally.checked} values: complete, finite, changed by training"
        )

    return verdict("weights_finite_and_complete", inspect)


def weights_reload(data: bytes, augmented: AugmentedSet) -> GateResult:
    """A fresh model made from the stored bytes predicts, bit for bit, what the trained one did.

    Parameters
    ----------
    data : bytes
        The candidate as it will be stored.
    augmented : AugmentedSet
        Its validation rows are predicted.

    Returns
    -------
    GateResult
        On failure: what could not be read, or the two hashes of the predictions.
    """
    from ml_assets.mamba.weights import MambaWeights

    symbol, rows = augmented.symbol, len(augmented.X_val)

    def inspect(tally: Tally) -> str:
        require_same_outputs(tally, symbol, read_again(symbol, data, MambaWeights), augmented.X_val)
        return f"{symbol}: {tally.checked} outputs on {rows} validation rows are bit-equal after reloading"

    return verdict("weights_reload", inspect)


def training_rows_only(weights: MambaWeights, augmented: AugmentedSet) -> GateResult:
    """The model was trained on exactly this augmented set: symbol, features, rows and content.

    Parameters
    ----------
    weights : MambaWeights
        The candidate; it records what it was trained on.
    augmented : AugmentedSet
        The certified set, read from the store and not handed over by the training.

    Returns
    -------
    GateResult
        On failure: the first thing that differs, with both values.
    """
    rows = len(augmented.X)
    pairs = {
        "symbol": (weights.symbol, augmented.symbol),
        "window": (weights.window, augmented.window),
        "feature names": (weights.feature_names, augmented.feature_names),
        "training rows": (weights.training_rows, rows),
        "last validation day": (weights.known_until, str(augmented.as_of_val[-1])),
        "feature centers": (tuple(weights.center), tuple(augmented.center)),
        "feature scales": (tuple(weights.scale), tuple(augmented.scale)),
        "content sha256": (weights.data_sha256, hashlib.sha256(augmented.to_bytes()).hexdigest()),
    }

    def inspect(tally: Tally) -> str:
        require_recorded(tally, augmented.symbol, pairs)
        tally.figures["rows"] = rows
        return f"{augmented.symbol}: trained on the certified {rows} rows, by content hash"

    return verdict("training_rows_only", inspect)


def learned(weights: MambaWeights, augmented: AugmentedSet, *, margin: float = 0.02) -> GateResult:
    """The validation loss is finite and not worse than the untrained model's by more than `margin`.

    It says that training did no harm, not that there is skill: on a random walk nothing can be learned, and
    a model that says so is right. Skill is judged on sealed test rows, in promotion. All figures are
    computed here again; the recorded loss must agree.

    Parameters
    ----------
    weights : MambaWeights
        The candidate.
    augmented : AugmentedSet
        Gives the validation rows.
    margin : float
        Allowed excess of the cross-entropy per validation row, in nats: room for the noise of the few hundred
        rows that a symbol has.

    Returns
    -------
    GateResult
        With the losses and accuracies of the model, the untrained model and the majority class.
    """
    from ml_assets.mamba.figures import validation_figures
    from ml_assets.mamba.predict import predict_outputs

    symbol = weights.symbol

    def inspect(tally: Tally) -> str:
        untrained = predict_outputs(replace(weights, arrays=untrained_arrays(weights)), augmented.X_val)
        figures = validation_figures(augmented, untrained, predict_outputs(weights, augmented.X_val))
        tally.checked, tally.figures = int(figures["rows"]), {**figures, "margin": margin}
        loss, before = figures["loss"], figures["untrained_loss"]
        recorded = weights.validation.get("loss", math.nan)
        require(
            math.isfinite(loss) and loss <= before + margin,
            f"{symbol}: validation loss {loss:.4f} exceeds that of the untrained model, {before:.4f}, plus "
            f"the margin {margin}",
        )
        require(
            math.isclose(loss, recorded, rel_tol=1e-6),
            f"{symbol}: the recorded validation loss is {recorded}, the weights give {loss}",
        )
        return f"{symbol}: validation loss {loss:.4f} on {tally.checked} rows, untrained {before:.4f}"

    return verdict("learned", inspect)


def untrained_arrays(weights: StoredModel) -> Arrays:
    """Return the weights that a model of this configuration and seed starts from."""
    return _untrained(weights.config, weights.seed, weights.window, len(weights.feature_names))


@lru_cache(maxsize=8)
def _untrained(config: MambaConfig, seed: int, window: int, n_features: int) -> Arrays:
    """Build once for all symbols of a fleet: they share configuration and seed."""
    from ml_assets.mamba.model import MambaModel

    model = MambaModel(config, seed=seed)
    model.build((None, window, n_features))
    return MappingProxyType(model.to_arrays())


def _unmoved_layers(arrays: Arrays, initial: Arrays) -> list[str]:
    moved = {layer_of(path) for path in arrays if not np.array_equal(arrays[path], initial[path])}
    return sorted({layer_of(path) for path in arrays} - moved)
