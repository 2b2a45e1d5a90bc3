"""How far the training of a network is: in the log of its run, and in the terminal of who waits for it.

The asset reports through Python's logging, so it need not know whether anybody looks: where nobody does, as
under the UI, nothing is printed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from ml_assets.pinn.progress import Progress as TrainingProgress

__all__ = ["report_progress", "report_stage", "watching"]

_logger = logging.getLogger(__name__)

_LOG_EVERY = 500  # steps between two lines in the run's log
_SAY_EVERY = 30.0  # seconds between two lines in a terminal without a bar


def report_progress(context: dg.AssetExecutionContext, progress: TrainingProgress) -> None:
    """Tell that a training has come so far."""
    text = (
        f"{progress.phase} {progress.step:,}/{progress.total:,}, loss {progress.loss:.2e}, "
        f"{progress.seconds:.0f} s"
    )
    if progress.step % _LOG_EVERY == 0 or progress.step == progress.total:
        context.log.info(text)
    _logger.info(text, extra={"progress": progress})


def report_stage(context: dg.AssetExecutionContext, stage: str) -> None:
    """Tell what comes next."""
    context.log.info(stage)
    _logger.info(stage)


@contextmanager
def watching(name: str, console: Console) -> Iterator[None]:
    """Show what is reported in the block: a bar in a terminal, elsewhere a line now and then."""
    with _display(name, console) as display:
        before = _logger.level
        _logger.addHandler(display)
        _logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            _logger.setLevel(before)
            _logger.removeHandler(display)


@contextmanager
def _display(name: str, console: Console) -> Iterator[logging.Handler]:
    if not console.is_terminal:
        yield _Lines(name, console)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[figures]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        yield _Bar(name, bar)


class _Bar(logging.Handler):
    """Moves a bar."""

    def __init__(self, name: str, bar: Progress) -> None:
        super().__init__()
        self._name, self._bar = name, bar
        self._task = bar.add_task(f"{name}: starting", total=None, figures="")

    def emit(self, record: logging.LogRecord) -> None:
        """Show a report."""
        progress: TrainingProgress | None = getattr(record, "progress", None)
        if progress is None:
            self._bar.update(self._task, description=f"{self._name}: {record.getMessage()}")
            return
        figures = f"{progress.step:,}/{progress.total:,}  loss {progress.loss:.1e}"
        self._bar.update(
            self._task, description=f"{self._name}: {progress.phase}", completed=progress.step,
            total=progress.total, figures=figures,
        )  # fmt: skip


class _Lines(logging.Handler):
    """Prints the first report of each phase, the last one, and one now and then; and every stage."""

    def __init__(self, name: str, console: Console) -> None:
        super().__init__()
        self._name, self._console = name, console
        self._phase, self._said = "", 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Print a report, or leave it out."""
        progress: TrainingProgress | None = getattr(record, "progress", None)
        if progress is not None:
            recent = time.monotonic() - self._said < _SAY_EVERY
            if recent and progress.phase == self._phase and progress.step != progress.total:
                return
            self._phase, self._said = progress.phase, time.monotonic()
        self._console.print(f"{self._name}: {record.getMessage()}", markup=False, highlight=False)
