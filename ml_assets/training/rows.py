"""What one ``fit`` reads: rows in an order that depends on seed and epoch alone. Imports TensorFlow.

Keras shuffles with a hidden random state that no checkpoint can hold. Here the order of an epoch can be
made again at any time, so that a training that was stopped goes on as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ml_assets.training.backend import keras

__all__ = ["EpochRows", "take_rows"]

_OURS = ("shuffle", "sample_weight", "validation_split")


class EpochRows(keras.utils.PyDataset):  # type: ignore[misc]
    """Arrays in batches; the order of an epoch is a function of the seed and the epoch.

    Parameters
    ----------
    parts : tuple
        Inputs, targets and sample weights, as far as there are any: arrays, or trees of them, rows first.
    batch_size : int
    seed : int or None
        ``None`` keeps the order as it is.
    """

    def __init__(self, parts: tuple[Any, ...], batch_size: int, seed: int | None) -> None:
        super().__init__()
        self._parts, self._batch_size, self._seed = parts, batch_size, seed
        self._order = np.arange(len(keras.tree.flatten(parts)[0]))

    def begin(self, epoch: int) -> None:
        """Arrange the rows for an epoch; called before its first batch is drawn."""
        if self._seed is not None:
            self._order = np.random.default_rng([self._seed, epoch]).permutation(len(self._order))

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        batch: tuple[Any, ...] = keras.tree.map_structure(lambda array: array[rows], self._parts)
        return batch


def take_rows(X: Any, y: Any, options: Mapping[str, Any]) -> tuple[tuple[Any, ...] | None, dict[str, Any]]:
    """Separate what we arrange ourselves from what ``fit`` is given.

    Parameters
    ----------
    X, y : array, tree of arrays, or anything else that ``fit`` takes
    options : mapping
        Keyword arguments of ``fit``.

    Returns
    -------
    parts : tuple or None
        For :class:`EpochRows`; ``None`` if the data are no arrays, or `steps_per_epoch` cuts them otherwise
        than by epochs: then ``fit`` gets them as they are.
    rest : dict
        The remaining options.
    """
    if not _are_arrays((X, y)):
        return None, {"shuffle": False, **options}  # they arrange their rows themselves
    if options.get("steps_per_epoch") is not None:
        return None, dict(options)
    rest = {name: value for name, value in options.items() if name not in _OURS} | {"shuffle": False}
    weights = options.get("sample_weight")
    parts = tuple(_arrays(part) for part in (X, y, weights) if part is not None)
    share = options.get("validation_split") or 0.0
    if share and rest.get("validation_data") is None:
        # The last rows, as Keras does it.
        cut = int(np.floor(len(keras.tree.flatten(parts)[0]) * (1.0 - share)))
        rest["validation_data"] = keras.tree.map_structure(lambda array: array[cut:], parts)
        parts = keras.tree.map_structure(lambda array: array[:cut], parts)
    return parts, rest


def _are_arrays(data: Any) -> bool:
    leaves = [leaf for leaf in keras.tree.flatten(data) if leaf is not None]
    return bool(leaves) and all(hasattr(leaf, "shape") and hasattr(leaf, "__array__") for leaf in leaves)


def _arrays(part: Any) -> Any:
    return keras.tree.map_structure(np.asarray, part)
