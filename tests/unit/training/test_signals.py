"""Ctrl-C and SIGTERM sent to a real process in the middle of a real training; then it resumes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ml_assets.training import TrainingError, TrainingErrorHandler, safe_training
from ml_assets.training.backend import keras, tf
from ml_assets.training.signals import StopRequest, deliver, stop_on_signal
from tests.unit.training.nets import data, net

PROGRAM = """
import sys, time
from ml_assets.training import TrainingErrorHandler
from ml_assets.training.backend import keras
from tests.unit.training.nets import data, net

class Slow(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        print("epoch", epoch, flush=True)
    def on_train_batch_end(self, batch, logs=None):
        time.sleep(0.1)

try:
    handler = TrainingErrorHandler(checkpoint_dir=sys.argv[1])
    handler.train_with_recovery(net(), *data(), epochs=1000, verbose=0, callbacks=[Slow()])
finally:
    print("cleaned up", flush=True)
"""


@pytest.fixture(autouse=True)
def default_sigterm():
    """Undo what earlier tests of this process left: Dagster lets SIGTERM act as Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def start(folder):
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_saves_and_exits_and_the_next_run_resumes(tmp_path, signum, status):
    process = start(tmp_path)
    for line in process.stdout:
        if line.strip() == "epoch 2":
            break
    sent = time.monotonic()
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - sent < 20
    assert process.returncode == status, err
    assert "cleaned up" in out, "finally blocks run, so locks are given back"
    assert f"{signum.name} at epoch 3: checkpoint of epoch 2 saved to" in err
    assert "run again to resume" in err
    handler = TrainingErrorHandler(checkpoint_dir=tmp_path)
    result = handler.train_with_recovery(net(), *data(), epochs=4, verbose=0)
    assert (result["resumed_from_epoch"], result["epochs_completed"], result["success"]) == (2, 4, True)
    assert list(tmp_path.rglob("*.npz")) == []


def test_safe_training_gives_a_handler_and_says_what_to_do():
    with safe_training(initial_batch_size=16) as handler:
        assert handler.current_batch_size == 16
    oom = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
    with (
        pytest.raises(TrainingError, match=r"OOM when allocating.*lower initial_batch_size"),
        safe_training(),
    ):
        raise oom
    with pytest.raises(KeyError), safe_training():
        raise KeyError("unknown errors pass unchanged")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_safe_training_ends_a_block_on_sigterm_like_an_exception():
    cleaned = []

    def block():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:
            cleaned.append(True)

    with pytest.raises(SystemExit) as exit_info, safe_training():
        block()
    assert exit_info.value.code == 143
    assert cleaned == [True]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_without_a_checkpoint_folder_it_says_that_nothing_is_saved():
    """A handler of the program's own is called once the training has stopped, and may return."""
    seen = []

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, lambda signum, frame: seen.append(signum))
    try:
        result = TrainingErrorHandler().train_with_recovery(
            net(), *data(), epochs=3, verbose=0, callbacks=[Interrupt()], batch_size=64
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]
    assert (result["success"], result["stopped_early"], result["epochs_completed"]) == (False, True, 0)
    assert "give checkpoint_dir" in result["stop_reason"]


def test_a_second_signal_acts_at_once():
    def nested():
        with stop_on_signal():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        nested()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sigterm_without_a_handler_becomes_an_orderly_exit():
    deliver(StopRequest())
    with pytest.raises(SystemExit, match="143"):
        deliver(StopRequest(signal.SIGTERM))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_the_process_ignores_stays_ignored(signum):
    """As in the background of a shell: what stopped for it could not end the process."""
    before = signal.signal(signum, signal.SIG_IGN)
    try:
        with stop_on_signal() as request:
            signal.raise_signal(signum)
        assert request == StopRequest()
        assert signal.getsignal(signum) is signal.SIG_IGN
    finally:
        signal.signal(signum, before)
