"""The sequences of one symbol, as they are stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.storage.arrays import pack, unfold_windows, unpack
from ml_assets.windows.rolling import Floats
from ml_assets.windows.rows import SPLIT_TYPE, build_ledger, training_days
from ml_assets.windows.scaling import fit_scale, normalize
from ml_assets.windows.splits import SPLITS, SequenceConfig, assign_splits

__all__ = ["SequenceSet", "frozen_array"]

_DAYS = ("first_day", "as_of", "label_end")


def frozen_array(values: Any, dtype: Any) -> NDArray[Any]:
    """View `values` as a read-only array of `dtype`; the caller's own array stays writable."""
    view = np.asarray(values, dtype=dtype).view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class SequenceSet:
    """Features, labels and ledger of one symbol. Windows are cut on demand, not stored.

    Parameters
    ----------
    symbol : str
    feature_names : tuple of str, length F
    dates : ndarray of datetime64[D], shape (n_days,)
        The symbol's sessions.
    features : ndarray of float32, shape (n_days, F)
        Raw causal features, not standardized; NaN in the warm-up rows.
    returns : ndarray of float64, shape (n_days,)
        Label of each day: its simple return over the next `horizon` days; NaN where unknown.
    window, horizon : int
    ledger : DataFrame
        One row per sequence, see `ml_assets.windows.rows.build_ledger`.
    center, scale : ndarray of float64, shape (F,)
        Fitted on the days of the training windows alone; applied by `normalize`.
    split : float
        Share of the rows before the test span that come before the validation part.
    folds : int
        How many folds the sealed span has; the test part is the last one.
    """

    kind: ClassVar[str] = "sequences"
    extension: ClassVar[str] = ".npz"

    symbol: str
    feature_names: tuple[str, ...]
    dates: NDArray[np.datetime64]
    features: NDArray[np.float32]
    returns: Floats
    window: int
    horizon: int
    ledger: pd.DataFrame
    center: Floats
    scale: Floats
    split: float = 0.8
    folds: int = 1

    def __post_init__(self) -> None:
        types = {"dates": "datetime64[D]", "features": "f4", "returns": "f8", "center": "f8", "scale": "f8"}
        for name, dtype in types.items():
            object.__setattr__(self, name, frozen_array(getattr(self, name), dtype))
        days, columns = len(self.dates), len(self.feature_names)
        if self.features.shape != (days, columns) or self.returns.shape != (days,):
            raise ValueError(
                f"{self.symbol}: {days} dates and {columns} feature names need features of shape "
                f"{(days, columns)} and {days} returns, got {self.features.shape} and {self.returns.shape}"
            )

    def positions(self, split: str) -> NDArray[np.int64]:
        """Positions of the as-of days of one part, in the ledger's order."""
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
        chosen = self.ledger["split"].cat.codes.to_numpy() == SPLITS.index(split)
        positions: NDArray[np.int64] = self.ledger["position"].to_numpy()[chosen].astype(np.int64)
        return positions

    def X(self, split: str) -> NDArray[np.float32]:  # noqa: N802  (the field's own notation)
        """Raw windows of one part, shape (n, window, F); the last row of each is its as-of day."""
        return unfold_windows(self.features, self.positions(split) - self.window + 1, self.window)

    def y(self, split: str) -> Floats:
        """Labels of one part, shape (n,)."""
        return self.returns[self.positions(split)]

    def step_returns(self, split: str) -> Floats:
        """Label of every day inside each window, shape (n, window); the last column is `y`."""
        return unfold_windows(self.returns, self.positions(split) - self.window + 1, self.window)

    def as_of(self, split: str) -> NDArray[np.datetime64]:
        """As-of days of one part, shape (n,)."""
        return self.dates[self.positions(split)]

    def normalize(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """Standardize raw features with the stored center and scale and clip them to [-5, 5]."""
        return normalize(X, self.center, self.scale)

    def normalized(self, split: str) -> NDArray[np.float32]:
        """Standardized windows of one part: ``normalize(X(split))``, each day standardized once."""
        days = self.normalize(self.features)
        return unfold_windows(days, self.positions(split) - self.window + 1, self.window)

    @property
    def train_end(self) -> np.datetime64:
        """Last day that any training row knows of, its label included."""
        return self._label_end("train")

    @property
    def validation_end(self) -> np.datetime64:
        """Last day that any validation row knows of, its label included."""
        return self._label_end("validation")

    def _label_end(self, split: str) -> np.datetime64:
        return np.datetime64(self.dates[self.positions(split).max() + self.horizon], "D")

    def fold(self, number: int) -> SequenceSet:
        """Return the sequences as they stood at an earlier fold of the sealed span.

        Later days are cut off, the parts are assigned anew (train, validation and the fold's own test days),
        and the scale is fitted on that fold's training days. The features stay: they are causal.

        Parameters
        ----------
        number : int
            From 1, the first, to `folds`, this set itself.

        Raises
        ------
        ValueError
            If there is no such fold.
        """
        if not 1 <= number <= self.folds:
            raise ValueError(f"{self.symbol}: fold {number} of {self.folds} does not exist")
        if number == self.folds:
            return self
        test = len(self.positions("test"))
        positions = self.ledger["position"].to_numpy()[: -test * (self.folds - number)]
        days = slice(0, int(positions[-1]) + self.horizon + 1)
        config = SequenceConfig(self.window, self.horizon, self.split, test)
        splits = assign_splits(len(positions), config)
        dates, returns = self.dates[days], self.returns[days].copy()
        returns[-self.horizon :] = np.nan  # these labels end after the fold's last day
        ledger = build_ledger(dates, positions, splits, self.window, self.horizon)
        trained = training_days(positions[splits == "train"], self.window, len(dates))
        center, scale = fit_scale(self.features[days], trained)
        return replace(
            self, dates=dates, features=self.features[days], returns=returns, ledger=ledger,
            center=center, scale=scale, folds=1,
        )  # fmt: skip

    def to_bytes(self) -> bytes:
        """Encode as an ``.npz`` file; equal values give equal bytes."""
        ledger = self.ledger
        arrays: dict[str, NDArray[Any]] = {
            "dates": self.dates.astype(np.int64),
            "features": self.features,
            "returns": self.returns,
            "center": self.center,
            "scale": self.scale,
            "ledger_position": ledger["position"].to_numpy(dtype=np.int64),
            "ledger_split": ledger["split"].cat.codes.to_numpy(dtype=np.int8),
            **{f"ledger_{d}": ledger[d].to_numpy().astype("datetime64[D]").astype(np.int64) for d in _DAYS},
        }
        header = {
            "kind": self.kind,
            "symbol": self.symbol,
            "feature_names": list(self.feature_names),
            "window": self.window,
            "horizon": self.horizon,
            "split": self.split,
            "folds": self.folds,
        }
        return pack(arrays, header)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode what `to_bytes` wrote; ValueError if the bytes are something else."""
        arrays, header = unpack(data)
        if header.get("kind") != cls.kind:
            raise ValueError(f"these bytes hold {header.get('kind')!r}, not {cls.kind!r}")
        days = {d: arrays[f"ledger_{d}"].astype("datetime64[D]").astype("datetime64[s]") for d in _DAYS}
        splits = pd.Categorical.from_codes(arrays["ledger_split"], dtype=SPLIT_TYPE)
        return cls(
            symbol=header["symbol"],
            feature_names=tuple(header["feature_names"]),
            dates=arrays["dates"].astype("datetime64[D]"),
            features=arrays["features"],
            returns=arrays["returns"],
            window=header["window"],
            horizon=header["horizon"],
            ledger=pd.DataFrame({"position": arrays["ledger_position"], **days, "split": splits}),
            center=arrays["center"],
            scale=arrays["scale"],
            split=header["split"],
            folds=header["folds"],
        )
