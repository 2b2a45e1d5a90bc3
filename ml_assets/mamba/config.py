"""What a Mamba model is made of, and how it is trained: two frozen values, checked on creation."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

__all__ = ["MambaConfig", "TrainingRecipe"]

Variant = Literal["ssd", "mamba1"]


class _JsonValue:
    """JSON round trip for a frozen dataclass of plain values; unknown names are refused."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild the value; a name that is not a field raises ``ValueError``."""
        known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(
                f"{cls.__name__} has no field {', '.join(unknown)}; it was written by another version "
                f"or misspelled. Known fields: {', '.join(sorted(known))}"
            )
        return cls(**values)

    def to_json(self) -> str:
        """Return the fields as JSON with sorted names."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote."""
        return cls.from_dict(json.loads(text))


@dataclass(frozen=True)
class MambaConfig(_JsonValue):
    """Shape of a Mamba model.

    The defaults are what learned best on simulated markets (``benchmarks/mamba_learning.py``): one block, 32
    wide, two heads, with a linear skip from the features.

    Parameters
    ----------
    d_model : int
        Width of the residual stream.
    n_blocks : int
        Number of residual blocks.
    d_state : int
        Size N of the state kept per channel (``mamba1``) or per head channel (``ssd``).
    d_conv : int
        Length of the causal convolution before the scan.
    expand : int
        Inner width is ``expand * d_model``.
    head_dim : int
        Channels that share one decay in the ``ssd`` variant; divides the inner width. 0 stands for half of
        it, that is two heads.
    dropout : float
        Rate in [0, 1) after each mixer and before the output.
    variant : {'ssd', 'mamba1'}
        ``'ssd'`` is Mamba-2 (Dao & Gu 2024, arXiv:2405.21060), ``'mamba1'`` the selective scan S6
        (Gu & Dao 2023, arXiv:2312.00752).
    linear_skip : bool
        Add a zero-initialized linear map of the features to the output, so that the model starts at
        "no opinion" and finds a linear signal at once.
    return_head : bool
        Forecast the standardized return beside the direction.
    variance_heads : int
        Forecast the variance over so many horizons instead: one output each, the logarithm of a ratio. 0 for
        a model of direction.

    Examples
    --------
    >>> MambaConfig().d_inner
    64
    >>> MambaConfig.from_json(MambaConfig(d_model=8).to_json()) == MambaConfig(d_model=8)
    True
    """

    d_model: int = 32
    n_blocks: int = 1
    d_state: int = 16
    d_conv: int = 4
    expand: int = 2
    head_dim: int = 0
    dropout: float = 0.1
    variant: Variant = "ssd"
    linear_skip: bool = True
    return_head: bool = True
    variance_heads: int = 0

    def __post_init__(self) -> None:
        for name in ("d_model", "n_blocks", "d_state", "d_conv", "expand"):
            _require_positive_int(type(self).__name__, name, getattr(self, name))
        if self.head_dim == 0:
            object.__setattr__(self, "head_dim", max(1, self.d_inner // 2))
        _require_positive_int(type(self).__name__, "head_dim", self.head_dim)
        if self.variance_heads != 0:
            _require_positive_int(type(self).__name__, "variance_heads", self.variance_heads)
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"MambaConfig.dropout is {self.dropout}; give a rate in [0, 1)")
        if self.variant not in ("ssd", "mamba1"):
            raise ValueError(f"MambaConfig.variant is {self.variant!r}; give 'ssd' or 'mamba1'")
        if self.variant == "ssd" and self.d_inner % self.head_dim:
            raise ValueError(
                f"MambaConfig.head_dim {self.head_dim} does not divide the inner width {self.d_inner} "
                f"(expand * d_model); give a divisor of it"
            )

    @property
    def d_inner(self) -> int:
        """Inner width of a mixer."""
        return self.expand * self.d_model

    @property
    def n_heads(self) -> int:
        """Number of decays per step in the ``ssd`` variant."""
        return self.d_inner // self.head_dim

    @property
    def dt_rank(self) -> int:
        """Rank of the step-size projection in the ``mamba1`` variant."""
        return math.ceil(self.d_model / 16)

    @property
    def outputs(self) -> int:
        """Outputs per step: direction logit, then the standardized return if it has a head; or variances."""
        return self.variance_heads or (2 if self.return_head else 1)


@dataclass(frozen=True)
class TrainingRecipe(_JsonValue):
    """How a Mamba model is trained on one symbol.

    The model is causal, so every step of a window from `burn_in` on is a labelled example. Neighboring
    windows share all but one of them: an epoch therefore takes only every `stride`-th window, from an
    offset drawn anew each epoch.

    Parameters
    ----------
    epochs : int
        At most this many epochs.
    patience : int
        Stop after so many epochs without a better validation loss,
    rises : int
        or after so many in a row that each validated worse than the one before (Prechelt 1998, "Early
        stopping - but when?", the criterion UP). For direction, on all folds of the 20 default stocks, that
        halves the epochs and never stops before the best one.
    batch_size : int
        Windows per step of the optimizer.
    learning_rate, weight_decay, clip_norm : float
        AdamW (Loshchilov & Hutter, arXiv:1711.05101) with a global gradient norm of at most `clip_norm`.
        Decays, skips, step biases and norms are not decayed. Labels are mostly noise: hence the strong decay.
    burn_in : int
        First step of a window that is scored: earlier ones have seen too little.
    stride : int
        Distance between the windows of one epoch.
    return_weight : float
        Weight of the Huber loss on the standardized return beside the cross-entropy on direction.
    fine_tuning : float
        Rate of fine-tuning a base model, as a share of `learning_rate`.
    max_restarts : int
        How often a loss that is not a number may restart from the best weights at half the rate.
    jit_compile : bool
        Compile the training step with XLA: some seconds once per process, then several times faster.
    """

    epochs: int = 80
    patience: int = 8
    rises: int = 3
    batch_size: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 2.0
    clip_norm: float = 1.0
    burn_in: int = 20
    stride: int = 15
    return_weight: float = 1.0
    fine_tuning: float = 0.2
    max_restarts: int = 2
    jit_compile: bool = True

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "rises", "batch_size", "stride"):
            _require_positive_int(type(self).__name__, name, getattr(self, name))
        for name in ("burn_in", "max_restarts"):
            if getattr(self, name) < 0:
                raise ValueError(f"TrainingRecipe.{name} is {getattr(self, name)}; give 0 or more")
        for name in ("learning_rate", "clip_norm", "fine_tuning"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"TrainingRecipe.{name} is {getattr(self, name)}; give a number above 0")
        for name in ("weight_decay", "return_weight"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"TrainingRecipe.{name} is {getattr(self, name)}; give 0 or more")

    def require_steps(self, window: int) -> None:
        """Refuse a window of so many days if the burn-in leaves no step of it to learn from.

        Raises
        ------
        ValueError
            If the window is not longer than the burn-in.
        """
        if window <= self.burn_in:
            raise ValueError(
                f"the window of {window} days leaves no step after the burn-in of {self.burn_in}; "
                "lower TrainingRecipe.burn_in or lengthen the window"
            )


def _require_positive_int(owner: str, name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{owner}.{name} is {value!r}; give a whole number of at least 1")
