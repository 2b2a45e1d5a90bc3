"""One training with its attempts: the loop behind ``train_with_recovery``. Imports TensorFlow."""

from __future__ import annotations

import hashlib
import logging
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.training.backend import keras
from ml_assets.training.checkpoints import CheckpointFolder
from ml_assets.training.errors import advice, classify
from ml_assets.training.nan_loss import first_nan_epoch, handle_nan_loss, losses_of
from ml_assets.training.signals import StopRequest, deliver, stop_on_signal
from ml_assets.training.watch import TrainingWatch, gradient_norms, on_cpu, put_back, take

if TYPE_CHECKING:
    from ml_assets.training.recovery import TrainingErrorHandler

__all__ = ["Attempts"]

logger = logging.getLogger(__name__)


class Attempts:
    """The state of one training across its attempts; see ``TrainingErrorHandler.train_with_recovery``."""

    def __init__(
        self, handler: TrainingErrorHandler, model: Any, X: Any, y: Any, fit_kwargs: dict[str, Any]
    ) -> None:
        self._handler, self._model, self._X, self._y = handler, model, X, y
        self._kwargs = dict(fit_kwargs)
        self._epochs = self._kwargs.pop("epochs", 1)
        self._callbacks = list(self._kwargs.pop("callbacks", None) or [])
        self._device = "default"
        self._nan_restarts = self._disk_recoveries = 0
        self._stopped = False
        self._stop_reason: str | None = None
        self._warnings: list[str] = []
        _build(model, X)
        self._good = take(model, epoch=self._kwargs.pop("initial_epoch", 0))
        self._folder = self._checkpoints(handler.checkpoint_dir)
        self._resumed_from = self._resume()

    def run(self) -> dict[str, Any]:
        """Fit until it is done or no recovery is left, and report."""
        while True:
            with stop_on_signal() as stop:
                save = None if self._folder is None else self._folder.save
                watch = TrainingWatch(self._good, stop, save)
                try:
                    losses = self._fit(watch)
                except Exception as error:
                    self._good = watch.good
                    if (kind := classify(error)) is None:
                        raise
                    failure = self._recover(kind, error)
                    if failure is None:
                        continue
                    return self._report(success=False, error=failure)
                self._good = watch.good
            if stop.signum:
                return self._interrupted(watch, stop)
            if first_nan_epoch(losses) is None:
                return self._completed(losses)
            if failure := self._after_nan(losses):
                return self._report(success=False, error=failure, losses=losses)

    def _fit(self, watch: TrainingWatch) -> list[float]:
        with on_cpu(self._model) if self._device == "cpu" else nullcontext():
            history = self._model.fit(
                self._X,
                self._y,
                batch_size=self._handler.current_batch_size,
                epochs=self._epochs,
                initial_epoch=self._good.epoch,
                callbacks=[*self._callbacks, watch],
                **self._kwargs,
            )
        return [*losses_of(history), *([float("nan")] if watch.broken else [])]

    def _recover(self, kind: str, error: Exception) -> str | None:
        """Prepare the next attempt; return what to tell the user if there is none."""
        failure = {"oom": self._shrink, "cuda": self._to_cpu, "disk_full": self._make_room}[kind](error)
        if failure is None:
            try:
                put_back(self._model, self._good)
            except Exception as second:
                if classify(second) is None:
                    raise
                failure = f"the weights could not be restored after {_short(error)}: {advice('cuda')}"
        return failure

    def _shrink(self, error: Exception) -> str | None:
        failed = self._handler.current_batch_size
        if self._handler.handle_gpu_oom(error) is None:
            return f"out of memory even at batch size {failed}: {_short(error)}. {advice('oom')}"
        now = self._handler.current_batch_size
        self._warnings.append(f"out of memory at batch size {failed}; went on with {now}")
        self._model.train_function = None  # holds the memory of the old batch shape
        return None

    def _to_cpu(self, error: Exception) -> str | None:
        if self._device == "cpu":
            return f"CUDA failed although training had moved to the CPU: {_short(error)}. {advice('cuda')}"
        self._device = "cpu"
        self._warnings.append(f"CUDA error ({_short(error)}); went on with the CPU, slower. {advice('cuda')}")
        logger.warning(self._warnings[-1])
        return None

    def _make_room(self, error: Exception) -> str | None:
        removed = self._folder.remove_all_but(1) if self._folder is not None else 0
        if not removed or self._disk_recoveries:
            return f"disk full: {_short(error)}. {advice('disk_full')}"
        self._disk_recoveries += 1
        self._warnings.append(f"disk full ({_short(error)}); removed {removed} old checkpoints and went on")
        logger.warning(self._warnings[-1])
        return None

    def _after_nan(self, losses: list[float]) -> str | None:
        """Restart at a lower rate; return what to tell the user if that is not allowed any more."""
        handler, model = self._handler, self._model
        put_back(model, self._good)
        rows = slice(0, handler.current_batch_size)
        batch = keras.tree.map_structure(lambda array: array[rows], (self._X, self._y))
        found = handle_nan_loss(model, losses, gradient_norms=gradient_norms(model, *batch))
        self._stopped, self._stop_reason = True, found["stop_reason"]
        if self._nan_restarts >= handler.max_nan_restarts:
            return (
                f"{self._stop_reason}, after {self._nan_restarts} restarts at lower rates. The model holds "
                "the last good weights. Look for NaN or extreme values in X and y, normalize them, or clip "
                "gradients (clipnorm=1.0 in the optimizer)"
            )
        if not _lower_rate(model, handler.rate_factor):
            return (
                f"{self._stop_reason}; the optimizer's learning rate follows a schedule and cannot be "
                "lowered here. Compile the model with a smaller one"
            )
        self._nan_restarts += 1
        self._good = take(model, epoch=self._good.epoch, losses=self._good.losses)
        self._warnings.append(
            f"{self._stop_reason}; restarted from epoch {self._good.epoch} at learning rate {_rate(model)}"
        )
        logger.warning(self._warnings[-1])
        return None

    def _interrupted(self, watch: TrainingWatch, stop: StopRequest) -> dict[str, Any]:
        state, saved = watch.now(), None
        if self._folder is not None:
            saved = self._folder.save(state)
        where = f"checkpoint saved to {saved}; run again to resume" if saved else (
            "nothing saved: give checkpoint_dir to resume next time"
        )  # fmt: skip
        self._stopped, self._stop_reason = True, f"{stop.name} at epoch {state.epoch + 1}: {where}"
        logger.warning(self._stop_reason)
        deliver(stop)
        return self._report(success=False, error=self._stop_reason)

    def _completed(self, losses: list[float]) -> dict[str, Any]:
        if self._folder is not None:
            self._folder.clear()
        return self._report(success=True, error=None, losses=losses)

    def _report(
        self, *, success: bool, error: str | None, losses: list[float] | None = None
    ) -> dict[str, Any]:
        if error is not None:
            logger.error("training failed: %s", error)
        good, saved = self._good, self._folder.paths() if self._folder is not None else []
        finite = first_nan_epoch(losses or [])
        return {
            "success": success,
            "error": error,
            "history": dict(good.losses) or {"loss": losses or []},
            "epochs_completed": good.epoch or (len(losses or []) if finite is None else finite),
            "batch_size": self._handler.current_batch_size,
            "recovery_attempts": self._handler.recovery_attempts,
            "nan_restarts": self._nan_restarts,
            "stopped_early": self._stopped,
            "stop_reason": self._stop_reason,
            "learning_rate": _rate(self._model),
            "device": self._device,
            "resumed_from_epoch": self._resumed_from,
            "checkpoint": str(saved[-1]) if saved else None,
            "warnings": list(self._warnings),
        }

    def _checkpoints(self, root: Path | None) -> CheckpointFolder | None:
        """Return this training's own folder: other data or another model is another training."""
        if root is None:
            return None
        digest = hashlib.sha256()
        for array in keras.tree.flatten((self._X, self._y)):
            values = np.ascontiguousarray(array)
            digest.update(f"{values.shape}{values.dtype}".encode())
            digest.update(values.data)
        digest.update(str([tuple(v.shape) for v in self._model.weights]).encode())
        return CheckpointFolder(root / digest.hexdigest()[:16], keep=self._handler.keep_checkpoints)

    def _resume(self) -> int:
        found = self._folder.latest() if self._folder is not None else None
        if found is None:
            return 0
        put_back(self._model, found)
        self._good = found
        logger.info("resuming after epoch %d from a checkpoint", found.epoch)
        return found.epoch


def _build(model: Any, X: Any) -> None:
    """Create the variables of model and optimizer, so that they can be saved before the first step."""
    if not model.built:
        model(keras.tree.map_structure(lambda array: array[:1], X))
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)


def _lower_rate(model: Any, factor: float) -> bool:
    rate = _rate(model)
    if rate is None:
        return True  # not compiled: there is no rate, and fit itself will say so
    try:
        model.optimizer.learning_rate = rate * factor
    except TypeError:
        return False
    return True


def _rate(model: Any) -> float | None:
    optimizer = getattr(model, "optimizer", None)
    return None if optimizer is None else float(optimizer.learning_rate)


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else 'no message'}"
