"""What a training does when something goes wrong: one state, and one way from each failure to the next state.

Every training of the product runs under a :class:`Recovery`. It holds what may change on the way (rows per
step, device, restarts) and answers each failure with the state to go on in, or with a :class:`TrainingError`
that says what a person should do. What happened is kept as a :class:`TrainingRecord`, which travels with the
trained model and from which the training can be repeated to the bit. Imports no TensorFlow.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NoReturn, Self, TypeVar

from ml_assets.training.errors import ErrorKind, TrainingError, advice, classify, short

__all__ = ["Device", "Recovery", "RecoveryState", "TrainingRecord", "handle_gpu_oom"]

logger = logging.getLogger(__name__)

Device = Literal["default", "cpu"]
Restarts = tuple[tuple[str, int], ...]
T = TypeVar("T")


@dataclass(frozen=True)
class TrainingRecord:
    """What went wrong in a training, and the conditions under which it came to its end.

    A model is a function of rows, recipe, seed and these. An undisturbed training has ``TrainingRecord()``.

    Parameters
    ----------
    micro_batch : int
        Rows per forward pass; their gradients are added up to the recipe's batch. 0: the whole batch at once.
    device : {'default', 'cpu'}
    restarts : tuple of (stage, epoch)
        Epochs whose loss was no number, after which the rate was lowered.
    messages : tuple of str
        All of it in words, in the order in which it happened.
    """

    micro_batch: int = 0
    device: Device = "default"
    restarts: Restarts = ()
    messages: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` gave, also after it has been JSON."""
        restarts = tuple((str(stage), int(epoch)) for stage, epoch in values["restarts"])
        return cls(values["micro_batch"], values["device"], restarts, tuple(values["messages"]))


@dataclass(frozen=True)
class RecoveryState:
    """Where a training stands: what it has had to give up so far.

    Parameters
    ----------
    batch_size : int
        Rows per forward pass.
    attempts : int
        Reductions of it so far.
    min_batch_size : int
        Smallest one that is tried.
    device : {'default', 'cpu'}
    restarts : tuple of (stage, epoch)
    disk_recoveries : int
        How often checkpoints were removed to make room.
    messages : tuple of str
    """

    batch_size: int = 32
    attempts: int = 0
    min_batch_size: int = 8
    device: Device = field(default="default", repr=False)
    restarts: Restarts = field(default=(), repr=False)
    disk_recoveries: int = field(default=0, repr=False)
    messages: tuple[str, ...] = field(default=(), repr=False)


def handle_gpu_oom(exception: BaseException, state: RecoveryState) -> RecoveryState | None:
    """Choose the next batch size after running out of memory.

    Parameters
    ----------
    exception : BaseException
        What training raised.
    state : RecoveryState
        The state that failed.

    Returns
    -------
    RecoveryState or None
        The state to try next, with half the batch; ``None`` if the smallest batch has failed too.

    Raises
    ------
    ValueError
        If `exception` does not say that memory ran out.

    Examples
    --------
    >>> handle_gpu_oom(MemoryError(), RecoveryState(32))
    RecoveryState(batch_size=16, attempts=1, min_batch_size=8)
    """
    if classify(exception) != "oom":
        raise ValueError(f"this is not an out-of-memory error: {exception!r}; raise it again") from exception
    if state.batch_size <= state.min_batch_size:
        logger.error("out of memory at the smallest batch size %d. %s", state.batch_size, advice("oom"))
        return None
    smaller = max(state.batch_size // 2, state.min_batch_size)
    logger.warning(
        "out of memory at batch size %d; trying again with %d. %s", state.batch_size, smaller, advice("oom")
    )
    return replace(state, batch_size=smaller, attempts=state.attempts + 1)


class Recovery:
    """The recovery policy of one training.

    ==================  =================================================================================
    failure             next state
    ==================  =================================================================================
    out of memory       half the rows per forward pass, down to `min_batch_size`
    CUDA error          the CPU, with a warning; a second one gives up
    loss is no number   the last good weights and a lower rate, `max_restarts` times in each stage
    disk full           old checkpoints removed, once
    anything else       none: it is raised unchanged
    ==================  =================================================================================

    Parameters
    ----------
    batch_size, min_batch_size : int
        Rows per step to start with, and the fewest per forward pass that are tried.
    max_restarts : int
        Restarts at a lower rate, in each stage of the training.
    rate_factor : float
        What the rate is multiplied with at a restart.
    record : TrainingRecord, optional
        Repeat that training: under the same conditions, with a restart where it had one. Whatever goes wrong
        besides raises ``TrainingError``, since the result would be another.
    """

    def __init__(
        self,
        batch_size: int = 32,
        *,
        min_batch_size: int = 8,
        max_restarts: int = 2,
        rate_factor: float = 0.5,
        record: TrainingRecord | None = None,
    ) -> None:
        self.max_restarts, self.rate_factor = max_restarts, rate_factor
        self.full_batch, self._repeated = batch_size, record
        self.state = RecoveryState(batch_size, min_batch_size=min_batch_size)
        if record is not None:
            self.resume(record)

    @property
    def record(self) -> TrainingRecord:
        """What has happened so far."""
        if self._repeated is not None:
            return self._repeated
        state = self.state
        micro = state.batch_size if state.batch_size < self.full_batch else 0
        return TrainingRecord(micro, state.device, state.restarts, state.messages)

    def resume(self, record: TrainingRecord) -> None:
        """Go on under the conditions of a training that was interrupted."""
        self.state = replace(
            self.state,
            batch_size=record.micro_batch or self.state.batch_size,
            device=record.device,
            restarts=record.restarts,
            messages=record.messages,
        )

    def attempt(self, work: Callable[[], T]) -> T:
        """Call `work` until it succeeds; it looks at :attr:`state` for the conditions in force.

        Raises
        ------
        TrainingError
            If no recovery is left; errors that are none of the known failures pass unchanged.
        """
        while True:
            try:
                return work()
            except Exception as error:
                if self.after(error) is None:
                    raise
            gc.collect()  # the failed attempt's tensors, before the next one needs their room

    def begin(self) -> None:
        """Forget the restarts of an attempt that is made again from the start."""
        self.state = replace(self.state, restarts=())

    def after(self, error: Exception, make_room: Callable[[], int] | None = None) -> ErrorKind | None:
        """Take the state to go on in after a failure.

        Parameters
        ----------
        error : Exception
            What training raised.
        make_room : callable, optional
            Removes old checkpoints and returns how many.

        Returns
        -------
        {'oom', 'cuda', 'disk_full'} or None
            What the failure was; ``None`` if it is not a known one, and the caller should raise it again.

        Raises
        ------
        TrainingError
            If there is no state to go on in.
        """
        kind = classify(error)
        if kind is None:
            return None
        if self._repeated is not None:
            _give_up(f"this training cannot be repeated now: {short(error)}. {advice(kind)}", error)
        if kind == "oom":
            self._after_oom(error)
        elif kind == "cuda":
            self._after_cuda(error)
        else:
            self._after_full_disk(error, make_room)
        return kind

    def after_nan(self, stage: str, epoch: int, reason: str, advice: str) -> float:
        """Return what to multiply the rate with after a loss that is no number.

        Parameters
        ----------
        stage : str
            Part of the training; each has its own restarts.
        epoch : int
        reason, advice : str
            What was seen, and what to do if restarts do not help.

        Raises
        ------
        TrainingError
            After the last allowed restart.
        """
        before = sum(earlier == stage for earlier, _ in self.state.restarts)
        if before >= self.max_restarts:
            raise TrainingError(f"{reason}, after {before} restarts at lower rates; {advice}")
        if self._repeated is not None and (stage, epoch) not in self._repeated.restarts:
            raise TrainingError(f"this training cannot be repeated now: {reason}; {advice}")
        self.state = replace(self.state, restarts=(*self.state.restarts, (stage, epoch)))
        return self.rate_factor

    def repeats_nan(self, stage: str, epoch: int) -> bool:
        """Whether the training that is repeated had such a loss here."""
        return self._repeated is not None and (stage, epoch) in self._repeated.restarts

    def note(self, message: str) -> None:
        """Keep what happened, once, and warn."""
        if message not in self.state.messages:
            self.state = replace(self.state, messages=(*self.state.messages, message))
        logger.warning(message)

    def _after_oom(self, error: Exception) -> None:
        failed = self.state.batch_size
        smaller = handle_gpu_oom(error, self.state)
        if smaller is None:
            _give_up(f"out of memory even at batch size {failed}: {short(error)}. {advice('oom')}", error)
        self.state = smaller
        self.note(f"out of memory at batch size {failed}; went on with {smaller.batch_size}")

    def _after_cuda(self, error: Exception) -> None:
        if self.state.device == "cpu":
            _give_up(
                f"CUDA failed although training had moved to the CPU: {short(error)}. {advice('cuda')}", error
            )
        self.state = replace(self.state, device="cpu")
        self.note(f"CUDA error ({short(error)}); went on with the CPU, slower. {advice('cuda')}")

    def _after_full_disk(self, error: Exception, make_room: Callable[[], int] | None) -> None:
        removed = 0 if make_room is None else make_room()
        if not removed or self.state.disk_recoveries:
            _give_up(f"disk full: {short(error)}. {advice('disk_full')}", error)
        self.state = replace(self.state, disk_recoveries=self.state.disk_recoveries + 1)
        self.note(f"disk full ({short(error)}); removed {removed} old checkpoints and went on")


def _give_up(message: str, error: Exception) -> NoReturn:
    """Raise what a person is to read; were the error beneath its cause, that would be shown instead."""
    logger.error("%s", message, exc_info=error)
    raise TrainingError(message) from None
