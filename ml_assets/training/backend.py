"""The only place where TensorFlow and Keras are imported: quietly, and on request.

``from ml_assets.training.backend import keras, tf`` costs 5-20 s and 500 MB, so only modules that train
import this one, and they are themselves imported lazily.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

# Read by TensorFlow's C++ side; a value set by the user stands.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# One thread, however the training was started (command, UI, notebook): the sums of parallel threads depend
# on their number, and then equal seeds would not give equal weights. Models this small gain nothing by more.
for _name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(_name, "1")


@contextmanager
def _quiet_native_code() -> Iterator[None]:
    """Hold back what native code writes to stderr, out of Python's reach; show it if the block fails.

    Where the user asked TensorFlow for more (``TF_CPP_MIN_LOG_LEVEL`` below 3), nothing is held back.
    """
    try:
        stderr = sys.__stderr__.fileno() if sys.__stderr__ is not None else -1
    except (OSError, ValueError):
        stderr = -1
    if stderr < 0 or os.environ["TF_CPP_MIN_LOG_LEVEL"] < "3":
        yield
        return
    with tempfile.TemporaryFile() as held:
        saved = os.dup(stderr)
        os.dup2(held.fileno(), stderr)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, stderr)
            os.close(saved)


with _quiet_native_code():
    import keras
    import tensorflow as tf

    tf.config.list_physical_devices()  # the search for devices is what it talks about

if os.environ["TF_CPP_MIN_LOG_LEVEL"] >= "3":
    tf.get_logger().setLevel("ERROR")  # its warnings concern graphs, not the user's data

__all__ = ["keras", "limit_threads", "placed_on", "tf"]


def placed_on(device: str) -> AbstractContextManager[Any]:
    """Return a context that places operations and variables on the CPU if `device` is ``'cpu'``."""
    return tf.device("/CPU:0") if device == "cpu" else nullcontext()


def limit_threads(threads: int) -> None:
    """Let TensorFlow use at most `threads` cores in this process, instead of the one that is the default.

    Parameters
    ----------
    threads : int
        Number of threads inside an operation and between operations, at least 1.

    Raises
    ------
    ValueError
        If `threads` is below 1.
    RuntimeError
        If TensorFlow has already run an operation in this process.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}; give 1 or more")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise RuntimeError(
            "TensorFlow has already started, so its threads are fixed; call limit_threads() before the "
            "first model is built, or set TF_NUM_INTRAOP_THREADS and TF_NUM_INTEROP_THREADS before Python "
            "starts"
        ) from error
