import errno
import os
import subprocess
import sys

import pytest

from ml_assets.storage import DiskFullError
from ml_assets.training import RecoveryState, advice, classify, handle_gpu_oom
from ml_assets.training.backend import limit_threads, tf

OOM = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OOM, "oom"),
        (MemoryError(), "oom"),
        (
            tf.errors.InternalError(None, None, "RESOURCE_EXHAUSTED: Out of memory while trying to allocate"),
            "oom",
        ),
        (RuntimeError("XLA: RESOURCE_EXHAUSTED"), "oom"),
        (tf.errors.InternalError(None, None, "CUDA error: an illegal memory access was encountered"), "cuda"),
        (tf.errors.UnknownError(None, None, "Failed to get convolution algorithm: cuDNN failed"), "cuda"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (DiskFullError(errno.EFBIG, "too large"), "disk_full"),
        (OSError(errno.EACCES, "out of memory"), None),
        (ValueError("cuda"), None),
        (RuntimeError("something else"), None),
        (KeyboardInterrupt(), None),
    ],
)
def test_known_failures_are_told_apart(error, kind):
    assert classify(error) == kind


@pytest.mark.parametrize("kind", ["oom", "cuda", "disk_full"])
def test_each_kind_has_advice(kind):
    assert advice(kind).endswith(".")


@pytest.mark.parametrize(
    ("start", "sizes"), [(32, [16, 8]), (20, [10, 8]), (8, []), (4, []), (100, [50, 25, 12, 8])]
)
def test_batches_are_halved_down_to_the_smallest(start, sizes):
    state, seen = RecoveryState(start), []
    while (smaller := handle_gpu_oom(OOM, state)) is not None:
        seen.append(smaller.batch_size)
        state = smaller
    assert seen == sizes
    assert state.attempts == len(sizes)


@pytest.mark.parametrize(("given", "found"), [(None, "1 1"), ("2", "2 1")])
def test_one_thread_unless_the_user_says_otherwise(given: str | None, found: str) -> None:
    """Whatever starts a training (the UI, too, which knows nothing of our command) sums in the same order."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_NUM_")}
    if given is not None:
        environment["TF_NUM_INTRAOP_THREADS"] = given
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    code = f"import os, ml_assets.training.backend; print(*(os.environ[n] for n in {names}))"
    out = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    assert out.stdout.decode().split() == found.split()


def test_threads_are_limited_only_before_tensorflow_starts():
    with pytest.raises(ValueError, match="give 1 or more"):
        limit_threads(0)
    tf.constant(1.0) + 1.0
    with pytest.raises(RuntimeError, match=r"before the\s+first model is built"):
        limit_threads(7)


def test_other_errors_are_no_reason_to_shrink():
    with pytest.raises(ValueError, match="not an out-of-memory error"):
        handle_gpu_oom(ValueError("no"), RecoveryState())
