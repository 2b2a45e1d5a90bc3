"""What a terminal shows of a training: a bar, or lines now and then; nothing where nobody looks."""

from __future__ import annotations

import io
import logging

import dagster as dg
import pytest
from rich.console import Console

from ml_assets.pinn.progress import Progress
from orchestration.cli import progress as watching

STEPS = [Progress("adam", step, 300, 1.0 / step, float(step)) for step in (50, 100)]
STEPS += [Progress("bfgs", step, 300, 1.0 / step, float(step)) for step in (150, 200, 300)]


def told(context: dg.AssetExecutionContext) -> None:
    for step in STEPS:
        watching.report_progress(context, step)
    watching.report_stage(context, "judging [it]")


@pytest.fixture
def context() -> dg.AssetExecutionContext:
    return dg.build_asset_context()


def shown(context: dg.AssetExecutionContext, *, terminal: bool) -> str:
    out = io.StringIO()
    with watching.watching("net", Console(file=out, force_terminal=terminal, width=120)):
        told(context)
    return out.getvalue()


def test_without_a_terminal_each_phase_begins_and_the_last_step_ends_it(
    context: dg.AssetExecutionContext,
) -> None:
    assert shown(context, terminal=False).splitlines() == [
        "net: adam 50/300, loss 2.00e-02, 50 s",
        "net: bfgs 150/300, loss 6.67e-03, 150 s",
        "net: bfgs 300/300, loss 3.33e-03, 300 s",
        "net: judging [it]",
    ]


def test_lines_come_again_after_a_while(
    context: dg.AssetExecutionContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_SAY_EVERY", 0.0)
    assert len(shown(context, terminal=False).splitlines()) == len(STEPS) + 1


def test_terminal_shows_a_bar(context: dg.AssetExecutionContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    text = shown(context, terminal=True)
    for part in ("net: judging [it]", "300/300  loss 3.3e-03", "━", "0:00:0"):
        assert part in text


def test_nobody_looks_nothing_is_printed(
    context: dg.AssetExecutionContext, capsys: pytest.CaptureFixture[str]
) -> None:
    with watching.watching("net", Console(quiet=True)):
        told(context)
    handlers, level = (
        logging.getLogger(watching.__name__).handlers,
        logging.getLogger(watching.__name__).level,
    )
    assert (handlers, level) == ([], logging.NOTSET)
    printed = capsys.readouterr()
    assert "net:" not in printed.out + printed.err
