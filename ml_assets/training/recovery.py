"""The recovery policy with a face for any Keras model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ml_assets.training.nan_loss import handle_nan_loss
from ml_assets.training.policy import Recovery, RecoveryState, TrainingRecord, handle_gpu_oom

__all__ = ["TrainingErrorHandler"]


class TrainingErrorHandler(Recovery):
    """Trains a compiled Keras model under the recovery policy; the product's own trainings use it, too.

    Beside what :class:`~ml_assets.training.policy.Recovery` says, a training by :meth:`train_with_recovery`
    goes on from its last completed epoch, treats an exploding loss like one that is no number, and survives
    Ctrl-C, SIGTERM and ``kill -9``: the next run with the same data resumes and ends with the very weights of
    an undisturbed run, bit for bit.

    Parameters
    ----------
    initial_batch_size, min_batch_size : int
        Batch to start with and smallest batch to try.
    checkpoint_dir : path, optional
        Where checkpoints go; without it nothing survives the process.
    keep_checkpoints : int
        How many to keep.
    max_nan_restarts : int
        How often a NaN loss restarts.
    rate_factor : float
        What the learning rate is multiplied with at such a restart, in (0, 1).
    explosion_factor : float
        A loss above the best one so far by this many times its size counts as exploded.
    keep_effective_batch : bool
        After running out of memory, add up the gradients of several small batches per step.
    seed : int
        Decides the order of the rows in each epoch (unless ``shuffle=False``).
    record : TrainingRecord, optional
        Repeat a training of the product; see :class:`~ml_assets.training.policy.Recovery`.

    Notes
    -----
    Bit-equal resuming holds for arrays on one CPU. Datasets and generators arrange their rows themselves;
    callbacks of the caller, such as early stopping, start anew, and a warning names them.

    Examples
    --------
    >>> handler = TrainingErrorHandler(initial_batch_size=32)
    >>> result = handler.train_with_recovery(model, X, y, epochs=5)  # doctest: +SKIP
    >>> handler.current_batch_size
    32
    """

    def __init__(
        self,
        initial_batch_size: int = 32,
        *,
        min_batch_size: int = 8,
        checkpoint_dir: str | Path | None = None,
        keep_checkpoints: int = 3,
        max_nan_restarts: int = 2,
        rate_factor: float = 0.1,
        explosion_factor: float = 1e3,
        keep_effective_batch: bool = False,
        seed: int = 0,
        record: TrainingRecord | None = None,
    ) -> None:
        if (size := min(initial_batch_size, min_batch_size)) < 1:
            raise ValueError(f"a batch size is {size}; give 1 or more")
        if not 0 < rate_factor < 1:
            raise ValueError(f"rate_factor is {rate_factor}; give a number between 0 and 1")
        if not explosion_factor > 0:
            raise ValueError(f"explosion_factor is {explosion_factor}; give a number above 0")
        super().__init__(
            initial_batch_size,
            min_batch_size=min_batch_size,
            max_restarts=max_nan_restarts,
            rate_factor=rate_factor,
            record=record,
        )
        self.initial_batch_size = initial_batch_size
        self.checkpoint_dir = None if checkpoint_dir is None else Path(checkpoint_dir)
        self.keep_checkpoints, self.seed = keep_checkpoints, seed
        self.explosion_factor, self.keep_effective_batch = explosion_factor, keep_effective_batch

    @property
    def current_batch_size(self) -> int:
        """The batch size in force."""
        return self.state.batch_size

    @property
    def recovery_attempts(self) -> int:
        """How often the batch was reduced in this training."""
        return self.state.attempts

    def handle_gpu_oom(
        self, exception: BaseException, state: RecoveryState | None = None
    ) -> RecoveryState | None:
        """Apply :func:`~ml_assets.training.policy.handle_gpu_oom` and keep the state it gives."""
        smaller = handle_gpu_oom(exception, state or self.state)
        self.state = smaller or self.state
        return smaller

    def handle_nan_loss(self, model: Any, history: Any) -> dict[str, Any]:
        """Apply :func:`~ml_assets.training.nan_loss.handle_nan_loss`."""
        return handle_nan_loss(model, history, explosion_factor=self.explosion_factor)

    def train_with_recovery(self, model: Any, X: Any, y: Any, **fit_kwargs: Any) -> dict[str, Any]:
        """Call ``model.fit(X, y, ...)`` until it is done or no recovery is left.

        Parameters
        ----------
        model : keras.Model
            Compiled. It is built here if it is not yet.
        X, y : ndarray
            Inputs and targets, rows first; trees of arrays or whatever else ``fit`` takes.
        **fit_kwargs
            Passed to ``fit``; `batch_size`, if given, is the batch size to start with.

        Returns
        -------
        dict
            ``success``; ``error`` (what failed and what to do, else None); ``history`` (lists per epoch);
            ``epochs_completed``; ``batch_size``; ``recovery_attempts`` (batch reductions); ``nan_restarts``;
            ``stopped_early`` and ``stop_reason`` (a NaN loss or a signal stopped a ``fit``, also where a
            restart then succeeded); ``learning_rate``; ``device`` (``'default'`` or ``'cpu'``);
            ``resumed_from_epoch``; ``checkpoint`` (newest file, None once training is complete);
            ``warnings`` (what was recovered from).

        Raises
        ------
        KeyboardInterrupt, SystemExit
            After Ctrl-C or SIGTERM, once the checkpoint is saved.
        """
        from ml_assets.training.attempts import Attempts

        batch_size = fit_kwargs.pop("batch_size", None) or self.initial_batch_size
        self.full_batch = batch_size
        self.state = RecoveryState(batch_size, min_batch_size=self.state.min_batch_size)
        return Attempts(self, model, X, y, fit_kwargs).run()
