"""Checkpoints of a training: verified by their hash, and never a complete one lost."""

from __future__ import annotations

import errno
import hashlib
import logging
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml_assets.storage import atomic_write, safe_makedirs
from ml_assets.storage.arrays import pack, unpack
from ml_assets.training.errors import advice, classify

__all__ = ["Checkpoint", "CheckpointFolder", "Snapshot"]

logger = logging.getLogger(__name__)

_NAME = re.compile(r"epoch-\d{6}-(?P<sha256>[0-9a-f]{64})\.npz")
_SPARE = 64 * 1024  # bytes that a file system needs beside the file itself


@dataclass(frozen=True)
class Snapshot:
    """The state of a training between two epochs.

    Parameters
    ----------
    epoch : int
        Epochs completed.
    model, optimizer : sequence of ndarray
        Their variables in order; those of the model with its random generators.
    losses : mapping of str to list of float
        History of the completed epochs.
    batch_size : int
        Batch in force; 0 if that is unknown.
    """

    epoch: int
    model: Sequence[NDArray[Any]]
    optimizer: Sequence[NDArray[Any]] = ()
    losses: Mapping[str, list[float]] = field(default_factory=dict)
    batch_size: int = 0

    @property
    def finite(self) -> bool:
        """Whether every number in the model is finite."""
        return all(bool(np.isfinite(v).all()) for v in self.model if np.issubdtype(v.dtype, np.floating))

    def to_bytes(self) -> bytes:
        """Encode as an ``.npz`` file."""
        arrays = {f"model_{i}": v for i, v in enumerate(self.model)}
        arrays |= {f"optimizer_{i}": v for i, v in enumerate(self.optimizer)}
        header = {"epoch": self.epoch, "batch_size": self.batch_size, "losses": dict(self.losses)}
        return pack(arrays, header | {"sizes": [len(self.model), len(self.optimizer)]})

    @classmethod
    def from_bytes(cls, data: bytes) -> Snapshot:
        """Decode what :meth:`to_bytes` wrote; ``ValueError`` if the bytes are something else."""
        arrays, header = unpack(data)
        try:
            n_model, n_optimizer = header["sizes"]
            return cls(
                epoch=header["epoch"],
                batch_size=header["batch_size"],
                losses=header["losses"],
                model=[arrays[f"model_{i}"] for i in range(n_model)],
                optimizer=[arrays[f"optimizer_{i}"] for i in range(n_optimizer)],
            )
        except KeyError as error:
            raise ValueError(f"not a checkpoint of this version: {error} is missing") from error


class Checkpoint(Protocol):
    """What a folder of checkpoints holds: its place in the order, and its bytes."""

    @property
    def epoch(self) -> int:
        """How far the training has come; a later state has a larger number."""
        ...

    def to_bytes(self) -> bytes:
        """Encode the state."""
        ...


T = TypeVar("T", bound=Checkpoint)


class CheckpointFolder(Generic[T]):
    """The checkpoints of one training.

    A checkpoint's name holds the sha256 of its bytes, and it is written atomically: it is complete and
    unchanged, or it is not used.

    Parameters
    ----------
    folder : path
        Where they lie. Trainings of other data or other models have other folders.
    keep : int
        How many to keep, at least 1.
    decode : callable
        Turns the bytes of a checkpoint back into a state, or raises ``ValueError``; default: of a `Snapshot`.
    note : callable, optional
        Told when the disk is full, in words that are the same each time; the log has the figures.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        keep: int = 3,
        decode: Callable[[bytes], Any] = Snapshot.from_bytes,
        note: Callable[[str], None] = logger.debug,
    ) -> None:
        if keep < 1:
            raise ValueError(f"keep is {keep}; at least one checkpoint must be kept: give 1 or more")
        self.folder, self.keep, self._decode, self._note = Path(folder), keep, decode, note

    def save(self, snapshot: T) -> Path | None:
        """Write a checkpoint and remove those beyond `keep`.

        On a full disk older checkpoints make room; the newest complete one always stays.

        Returns
        -------
        Path or None
            ``None``, with a warning, if there was no room: training goes on without it.
        """
        data = snapshot.to_bytes()
        digest = hashlib.sha256(data).hexdigest()
        path = self.folder / f"epoch-{snapshot.epoch:06d}-{digest}.npz"
        try:
            self._write(path, data)
        except OSError as error:
            if classify(error) != "disk_full":
                raise
            return self._make_room_and_write(path, data, error)
        self.remove_all_but(self.keep)
        return path

    def shortage(self, needed: int) -> str | None:
        """Say how much space is missing for a file of so many bytes, or ``None`` if there is enough."""
        place = next(p for p in (self.folder, *self.folder.absolute().parents) if p.is_dir())
        free = shutil.disk_usage(place).free
        if free >= needed + _SPARE:
            return None
        return f"{needed + _SPARE:,} bytes needed in {place}, {free:,} free"

    def latest(self, fits: Callable[[T], bool] = lambda _: True) -> T | None:
        """Return the newest checkpoint that is whole and fits, or ``None``; others are passed over.

        Parameters
        ----------
        fits : callable
            Whether a snapshot belongs to the training at hand.
        """
        for path in reversed(self.paths()):
            try:
                snapshot = self._read(path, fits)
            except (OSError, ValueError) as error:
                logger.warning(
                    "checkpoint %s is damaged (%s); using the one before. Delete it, and check the disk if "
                    "this happens again", path, error,
                )  # fmt: skip
            else:
                return snapshot
        return None

    def paths(self) -> list[Path]:
        """Return the checkpoint files, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if _NAME.fullmatch(path.name))

    def clear(self) -> None:
        """Remove every checkpoint: the training is complete."""
        self.remove_all_but(0)
        with suppress(OSError):  # not empty: something else, or another process, uses it
            self.folder.rmdir()

    def _read(self, path: Path, fits: Callable[[T], bool]) -> T:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != _sha256_of(path):
            raise ValueError("its sha256 differs from its name")
        snapshot: T = self._decode(data)
        if not fits(snapshot):
            raise ValueError("it belongs to another model")
        return snapshot

    def _write(self, path: Path, data: bytes) -> None:
        if short := self.shortage(len(data)):  # found before a byte is written
            raise OSError(errno.ENOSPC, short)
        safe_makedirs(self.folder)
        atomic_write(path, data)

    def _make_room_and_write(self, path: Path, data: bytes, full: OSError) -> Path | None:
        removed = self.remove_all_but(1)
        logger.warning(
            "disk full: %s; removed %d older checkpoints. %s", full.strerror or full, removed,
            advice("disk_full"),
        )  # fmt: skip
        self._note("disk full: older checkpoints were removed, the newest complete one was kept")
        try:
            self._write(path, data)
        except OSError as error:
            if classify(error) != "disk_full":
                raise
            logger.warning(
                "still no room for the %s bytes of %s; training goes on without it, the newest complete "
                "checkpoint stays. %s", f"{len(data):,}", path, advice("disk_full"),
            )  # fmt: skip
            return None
        return path

    def remove_all_but(self, newest: int) -> int:
        """Remove the oldest checkpoints but the `newest` ones; return how many."""
        paths = self.paths()
        removed = paths[: max(0, len(paths) - newest)]
        for path in removed:
            path.unlink(missing_ok=True)
        return len(removed)


def _sha256_of(path: Path) -> str:
    match = _NAME.fullmatch(path.name)
    return match["sha256"] if match else ""
