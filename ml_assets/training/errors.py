"""Which failures of a training are known, and what is said about them. Imports no TensorFlow."""

from __future__ import annotations

import errno
from typing import Literal

from ml_assets.storage import DiskFullError

__all__ = ["ErrorKind", "TrainingError", "advice", "classify", "short"]

ErrorKind = Literal["oom", "cuda", "disk_full"]

_CUDA_WORDS = ("cuda", "cudnn", "cublas", "cufft", "cusolver", "nccl", "gpu driver")
_MEMORY_WORDS = ("resource_exhausted", "out of memory", "out_of_memory", "failed to allocate")
_ADVICE: dict[ErrorKind, str] = {
    "oom": "Close other programs that use the GPU, lower initial_batch_size, or use a smaller model.",
    "cuda": "Check the driver with nvidia-smi; to use the CPU set CUDA_VISIBLE_DEVICES=-1 and start again.",
    "disk_full": "Free space on the disk of the checkpoint folder, or point checkpoint_dir at another disk.",
}


class TrainingError(RuntimeError):
    """A training failed in a known way; the message says what to do."""


def classify(exception: BaseException) -> ErrorKind | None:
    """Return the kind of a known failure, else ``None``.

    TensorFlow reports memory exhaustion under several types, depending on whether XLA, the allocator or
    cuDNN notices first, so names and messages are looked at, not types.

    Parameters
    ----------
    exception : BaseException
        What training raised.

    Returns
    -------
    {'oom', 'cuda', 'disk_full'} or None
    """
    if isinstance(exception, OSError):
        full = isinstance(exception, DiskFullError) or exception.errno in (errno.ENOSPC, errno.EDQUOT)
        return "disk_full" if full else None
    if isinstance(exception, TrainingError):  # it may name a failure, but that was dealt with
        return None
    names = {base.__name__ for base in type(exception).__mro__}
    if names & {"ResourceExhaustedError", "MemoryError"}:
        return "oom"
    if not names & {"OpError", "RuntimeError", "InternalError"}:
        return None
    text = str(exception).lower()
    if any(word in text for word in _MEMORY_WORDS):
        return "oom"
    return "cuda" if any(word in text for word in _CUDA_WORDS) else None


def advice(kind: ErrorKind) -> str:
    """Return what a person should do about a failure of this kind."""
    return _ADVICE[kind]


def short(error: BaseException) -> str:
    """Return type and telling line of an error: TensorFlow's begin with where in the graph it arose."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    words = (*_CUDA_WORDS, *_MEMORY_WORDS)
    telling = [line for line in lines if any(word in line.lower() for word in words)]
    return f"{type(error).__name__}: {(telling or lines or ['no message'])[0][:200]}"
