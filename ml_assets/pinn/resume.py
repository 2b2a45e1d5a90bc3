"""Save the state of a network's training now and then, so that the next run goes on from it to the bit."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from ml_assets.pinn.adam import AdamState
from ml_assets.pinn.bfgs import BfgsState
from ml_assets.pinn.recipe import TrainingRecipe
from ml_assets.storage.arrays import pack, unpack
from ml_assets.training.checkpoints import CheckpointFolder
from ml_assets.training.policy import TrainingRecord
from ml_assets.training.signals import StopRequest, deliver, stop_on_signal

__all__ = ["Keeper", "TrainingState", "keeping"]

logger = logging.getLogger(__name__)

_PHASES: dict[str, type[AdamState] | type[BfgsState]] = {"adam": AdamState, "bfgs": BfgsState}


@dataclass(frozen=True)
class TrainingState:
    """All that decides how a training goes on.

    Parameters
    ----------
    training : str
        Which one: see :func:`keeping`.
    epoch : int
        Steps done in all phases.
    optimizer : AdamState or BfgsState
    draws : int
        Draws of collocation points so far; the last one is in use.
    after_adam : float
        Loss at the end of the first phase; NaN before.
    seconds : float
        Time spent so far.
    curve : tuple of (step, loss)
    record : TrainingRecord
        What has gone wrong so far, and the conditions in force since.
    """

    training: str
    epoch: int
    optimizer: AdamState | BfgsState
    draws: int
    after_adam: float
    seconds: float
    curve: tuple[tuple[float, float], ...]
    record: TrainingRecord = field(default_factory=TrainingRecord)

    def to_bytes(self) -> bytes:
        """Encode as ``.npz``."""
        values = {f.name: getattr(self.optimizer, f.name) for f in fields(self.optimizer)}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "optimizer"}
        rest["record"] = self.record.to_dict()
        phase = "adam" if isinstance(self.optimizer, AdamState) else "bfgs"
        numbers = {name: value for name, value in values.items() if name not in arrays}
        return pack(arrays, {"phase": phase, "optimizer": numbers, "rest": rest})

    @classmethod
    def from_bytes(cls, data: bytes) -> TrainingState:
        """Decode what :meth:`to_bytes` wrote; ``ValueError`` if the bytes are something else."""
        arrays, header = unpack(data)
        try:
            values: dict[str, Any] = arrays | header["optimizer"]
            optimizer = _PHASES[header["phase"]](**values)
            rest = header["rest"]
            curve = tuple((step, loss) for step, loss in rest.pop("curve"))
            record = TrainingRecord.from_dict(rest.pop("record"))
            return cls(optimizer=optimizer, curve=curve, record=record, **rest)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not the state of a PINN training of this version: {error}") from error


class _Stopped(Exception):  # noqa: N818  (not an error: a signal asked for it)
    pass


class Keeper:
    """Says when a state is to be saved, because the time has come or a signal asks to stop, and saves it.

    Parameters
    ----------
    training : str
        Which one: states of another are refused.
    folder : CheckpointFolder, optional
        Without one nothing is kept.
    every : float
        Seconds between two checkpoints.
    request : StopRequest
    """

    def __init__(
        self,
        training: str,
        folder: CheckpointFolder[TrainingState] | None,
        every: float,
        request: StopRequest,
    ) -> None:
        self.training = training
        self._folder, self._every, self._request = folder, every, request
        self._saved = time.monotonic()

    def latest(self, size: int) -> TrainingState | None:
        """Return the newest whole state of a network of so many parameters, or ``None``."""
        if self._folder is None:
            return None
        found = self._folder.latest(
            lambda state: state.training == self.training and state.optimizer.x.shape == (size,)
        )
        if found is not None:
            logger.info("resuming the training of %s after step %d", self.training, found.epoch)
        return found

    @property
    def due(self) -> bool:
        """Whether a state should be saved now."""
        if self._folder is None:
            return False
        return bool(self._request.signum) or time.monotonic() - self._saved >= self._every

    def save(self, state: TrainingState) -> None:
        """Save the state; leave the training if a signal has come."""
        if self._folder is not None:
            self._folder.save(state)
            self._saved = time.monotonic()
        if self._request.signum:
            raise _Stopped

    def clear(self) -> None:
        """Remove what was kept: the training is complete."""
        if self._folder is not None:
            self._folder.clear()


@contextmanager
def keeping(
    root: str | Path | None,
    recipe: TrainingRecipe,
    every: float,
    note: Callable[[str], None] = logger.debug,
) -> Iterator[Keeper]:
    """Keep the states of one training under ``root``; without a root, keep none and leave signals alone.

    Ctrl-C and SIGTERM end the block after the step at hand, its state saved. A training is named by the kind
    and a hash of its recipe. Another has another folder, and a state knows its training: none resumes from
    another's. `note` is told when the disk is full.
    """
    digest = hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode()).hexdigest()
    training = f"{type(recipe).__name__}-{digest[:16]}"
    if root is None:
        yield Keeper(training, None, every, StopRequest())
        return
    if every < 0:
        raise ValueError(f"checkpoint_seconds is {every}: give 0 (after every step) or more")
    folder = CheckpointFolder[TrainingState](
        Path(root) / training, decode=TrainingState.from_bytes, note=note
    )
    stopped = False
    with stop_on_signal() as request:
        try:
            yield Keeper(training, folder, every, request)
        except _Stopped:
            stopped = True
            logger.warning("%s: state saved in %s; run again to resume", request.name, folder.folder)
    deliver(request)
    if stopped:  # the program's own handler has returned
        raise InterruptedError(f"the training was stopped by {request.name}; run it again to resume")
