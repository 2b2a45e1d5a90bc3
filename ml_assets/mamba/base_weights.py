"""The weights of the base model, and what it knows of the calendar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ml_assets.mamba.config import MambaConfig
from ml_assets.mamba.trained import TrainedMamba
from ml_assets.windows.augmented_set import AugmentedSet

__all__ = ["MambaBaseWeights"]


@dataclass(frozen=True, eq=False, kw_only=True)
class MambaBaseWeights(TrainedMamba):
    """A model trained on many symbols (artifact of kind ``'mamba_base_weights'``).

    `data_sha256` is that of the pooled set, see :meth:`ml_assets.mamba.pooled.PooledSet.sha256`. See
    :class:`~ml_assets.mamba.trained.TrainedMamba` for the other fields.

    Parameters
    ----------
    horizon : int
        Days that a label reaches.
    members : tuple of str
        The symbols trained on.
    boundary, known_until : str
        ISO days: every training label ends before the first; none that decided when to stop ends after the
        second. The model is fit for use on a symbol whose validation lies on or after both.
    """

    kind: ClassVar[str] = "mamba_base_weights"
    symbol: ClassVar[str] = "base model"
    """What messages call it, in the place of a symbol."""
    decoders: ClassVar = {"members": tuple}

    horizon: int
    members: tuple[str, ...]
    boundary: str

    def unfit_for(self, augmented: AugmentedSet, config: MambaConfig) -> str | None:
        """Say why a symbol cannot start from this model, or ``None`` if it can.

        Parameters
        ----------
        augmented : AugmentedSet
            The symbol's own rows.
        config : MambaConfig
            The shape of its model.
        """
        start, end = str(augmented.as_of_val[0]), str(augmented.as_of_val[-1])
        if self.boundary > start:
            return f"it was trained on days before {self.boundary}, the first validation row is of {start}"
        if self.known_until > end:
            return f"it was chosen by days until {self.known_until}, the validation ends on {end}"
        if (self.window, self.horizon) != (augmented.window, augmented.horizon):
            return "it was trained with another window or horizon"
        return None if self.config == config else "it has another configuration"
