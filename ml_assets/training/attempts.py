"""One training with its attempts: the loop behind ``train_with_recovery``. Imports TensorFlow."""

from __future__ import annotations

import hashlib
import logging
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.training.backend import keras
from ml_assets.training.checkpoints import CheckpointFolder, Snapshot
from ml_assets.training.errors import TrainingError, advice, classify, short
from ml_assets.training.nan_loss import first_bad_epoch, handle_nan_loss, losses_of
from ml_assets.training.optimizer import accumulate, build, describe, learning_rate, lower_rate
from ml_assets.training.rows import EpochRows, take_rows
from ml_assets.training.signals import StopRequest, deliver, stop_on_signal
from ml_assets.training.watch import TrainingWatch, fits, gradient_norms, on_cpu, put_back, take

if TYPE_CHECKING:
    from ml_assets.training.recovery import TrainingErrorHandler

__all__ = ["Attempts"]

logger = logging.getLogger(__name__)


class Attempts:
    """The state of one training across its attempts; see ``TrainingErrorHandler.train_with_recovery``."""

    def __init__(
        self, handler: TrainingErrorHandler, model: Any, X: Any, y: Any, fit_kwargs: dict[str, Any]
    ) -> None:
        self._handler, self._model = handler, model
        self._data, self._kwargs = take_rows(X, y, fit_kwargs)
        self._as_given = (X, y)
        self._seed = handler.seed if fit_kwargs.get("shuffle", True) else None
        self._epochs = self._kwargs.pop("epochs", 1)
        self._callbacks = list(self._kwargs.pop("callbacks", None) or [])
        self._stopped = False
        self._stop_reason: str | None = None
        build(model, X)
        self._good = self._now(epoch=self._kwargs.pop("initial_epoch", 0))
        self._folder = self._checkpoints(handler.checkpoint_dir)
        self._resumed_from = self._resume()
        if self._folder is not None and (missing := self._folder.shortage(2 * len(self._good.to_bytes()))):
            handler.note(f"hardly any room for checkpoints: {missing}. {advice('disk_full')}")

    def run(self) -> dict[str, Any]:
        """Fit until it is done or no recovery is left, and report."""
        while True:
            with stop_on_signal() as stop:
                rows = self._rows()
                watch = TrainingWatch(
                    self._good,
                    stop,
                    None if self._folder is None else self._folder.save,
                    explosion_factor=self._handler.explosion_factor,
                    rows=rows,
                )
                try:
                    losses = self._fit(watch, rows)
                except Exception as error:
                    self._good = watch.good
                    try:
                        known = self._recover(error)
                    except TrainingError as failure:
                        return self._report(success=False, error=str(failure))
                    if not known:
                        raise
                    continue
                self._good = watch.good
            if stop.signum:
                return self._interrupted(watch, stop)
            if first_bad_epoch(losses, self._handler.explosion_factor) is None:
                return self._completed(losses)
            try:
                self._after_nan(losses)
            except TrainingError as failure:
                return self._report(success=False, error=str(failure), losses=losses)

    def _rows(self) -> EpochRows | None:
        if self._data is None:
            return None
        return EpochRows(self._data, self._handler.current_batch_size, self._seed)

    def _fit(self, watch: TrainingWatch, rows: EpochRows | None) -> list[float]:
        data = self._as_given if rows is None else (rows, None)
        before = list(self._good.losses.get("loss", []))
        with on_cpu(self._model) if self._handler.state.device == "cpu" else nullcontext():
            history = self._model.fit(
                *data,
                batch_size=self._handler.current_batch_size,
                epochs=self._epochs,
                initial_epoch=self._good.epoch,
                callbacks=[*self._callbacks, watch],
                **self._kwargs,
            )
        if watch.is_broken:
            return [*watch.good.losses.get("loss", []), watch.broken]
        return [*before, *losses_of(history)]

    def _recover(self, error: Exception) -> bool:
        """Prepare the next attempt after a known failure: the last good state, as the policy now says."""
        kind = self._handler.after(error, self._make_room)
        if kind is None:
            return False
        try:
            put_back(self._model, self._good)
        except Exception as second:
            if classify(second) is None:
                raise
            raise TrainingError(
                f"the weights could not be restored after {short(error)}: {advice('cuda')}"
            ) from second
        if kind == "oom":
            self._model.train_function = None  # holds the memory of the old batch shape
            self._accumulate()
        return True

    def _make_room(self) -> int:
        return 0 if self._folder is None else self._folder.remove_all_but(1)

    def _accumulate(self) -> None:
        """Make up for the smaller batch, if asked to, and go on from the same state with it."""
        batch, wanted = self._handler.current_batch_size, self._handler.full_batch
        if self._handler.keep_effective_batch and wanted > batch:
            accumulate(self._model, -(-wanted // batch))
        self._good = self._now(epoch=self._good.epoch, losses=self._good.losses)

    def _now(self, **known: Any) -> Snapshot:
        return take(self._model, batch_size=self._handler.current_batch_size, **known)

    def _after_nan(self, losses: list[float]) -> None:
        """Go back to the last good state at a lower rate."""
        handler, model = self._handler, self._model
        put_back(model, self._good)
        found = handle_nan_loss(
            model,
            losses,
            gradient_norms=self._gradient_norms(),
            explosion_factor=handler.explosion_factor,
        )
        self._stopped, self._stop_reason = True, found["stop_reason"]
        factor = handler.after_nan(
            "fit",
            found["nan_epoch"] + 1,
            found["stop_reason"],
            "the model holds the last good weights. Look for NaN or extreme values in X and y, normalize "
            "them, or clip gradients (clipnorm=1.0 in the optimizer)",
        )
        if not lower_rate(model, factor):
            raise TrainingError(
                f"{self._stop_reason}; the optimizer's learning rate follows a schedule and cannot be "
                "lowered here. Compile the model with a smaller one"
            )
        self._good = self._now(epoch=self._good.epoch, losses=self._good.losses)
        rate = learning_rate(model)
        handler.note(f"{self._stop_reason}; restarted from epoch {self._good.epoch} at learning rate {rate}")

    def _gradient_norms(self) -> dict[str, float]:
        """Norms at the restored weights, on the first rows; unknown where the data are no arrays."""
        if self._data is None or len(self._data) < 2:
            return {}
        X, y = EpochRows(self._data, self._handler.current_batch_size, None)[0][:2]
        return gradient_norms(self._model, X, y)

    def _interrupted(self, watch: TrainingWatch, stop: StopRequest) -> dict[str, Any]:
        if self._folder is None:
            where = "nothing saved: give checkpoint_dir to resume next time"
        elif self._folder.latest(partial(fits, self._model)) is None:
            where = "no epoch was complete; run again to start anew"
        else:
            where = (
                f"checkpoint of epoch {self._good.epoch} saved to {self._folder.folder}; run again to resume"
            )
        self._stopped, self._stop_reason = True, f"{stop.name} at epoch {watch.epoch + 1}: {where}"
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
        finite = first_bad_epoch(losses or [], self._handler.explosion_factor)
        return {
            "success": success,
            "error": error,
            "history": dict(good.losses) or {"loss": losses or []},
            "epochs_completed": good.epoch or (len(losses or []) if finite is None else finite),
            "batch_size": self._handler.current_batch_size,
            "recovery_attempts": self._handler.recovery_attempts,
            "nan_restarts": len(self._handler.state.restarts),
            "stopped_early": self._stopped,
            "stop_reason": self._stop_reason,
            "learning_rate": learning_rate(self._model),
            "device": self._handler.state.device,
            "resumed_from_epoch": self._resumed_from,
            "checkpoint": str(saved[-1]) if saved else None,
            "warnings": list(self._handler.state.messages),
        }

    def _checkpoints(self, root: Path | None) -> CheckpointFolder[Snapshot] | None:
        """Return this training's own folder: other data or another model is another training."""
        if root is None:
            return None
        digest = hashlib.sha256()
        for array in keras.tree.flatten(self._data or ()):
            values = np.ascontiguousarray(array)
            digest.update(f"{values.shape}{values.dtype}".encode())
            digest.update(values.data)
        settings = (
            [tuple(v.shape) for v in self._model.weights],
            describe(self._model),
            self._seed,
            self._handler.full_batch,
        )
        digest.update(str(settings).encode())
        return CheckpointFolder[Snapshot](root / digest.hexdigest()[:16], keep=self._handler.keep_checkpoints)

    def _resume(self) -> int:
        """Go on from the newest checkpoint, with the batch that it was made with."""
        found = self._folder.latest(self._prepared_for) if self._folder is not None else None
        if found is None:
            return 0
        put_back(self._model, found)
        self._good = found
        logger.info("resuming after epoch %d from a checkpoint", found.epoch)
        if self._callbacks:
            self._handler.note(
                f"resumed after epoch {found.epoch}: weights, optimizer and order of rows go on exactly, but "
                f"{', '.join(type(c).__name__ for c in self._callbacks)} start anew"
            )
        return found.epoch

    def _prepared_for(self, snapshot: Snapshot) -> bool:
        """Bring batch and optimizer into the state of a snapshot, if that is one of this training."""
        batch, wanted = snapshot.batch_size, self._handler.full_batch
        if 0 < batch < self._handler.current_batch_size:
            self._handler.state = replace(self._handler.state, batch_size=batch)
            if self._handler.keep_effective_batch:
                accumulate(self._model, -(-wanted // batch))
        return fits(self._model, snapshot)
