"""The closing table says what happened, for those that passed and for those that did not."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ml_assets.prices import Problem
from ml_assets.storage import ArtifactStore, GateVerdict, certify
from ml_assets.storage.artifact import Artifact
from orchestration.cli.summary import print_summary
from orchestration.fleet.run import RunOutcome
from tests.pinn_fixtures import latency_report
from tests.unit.forecasts.direction_makers import judged, report, with_controls
from tests.unit.forecasts.fleets import decide

PASSED = RunOutcome("symbol_pipeline", "A", True, 17, 0, None, None, 12.3, "run-a")
REASON = "split_sequences, gate causal: A [/2020-01-02]: [bold]rsi[/bold] changed from 1.0 to 2.0"
STOPPED = dataclasses.replace(
    PASSED,
    partition="B",
    success=False,
    gates_passed=7,
    gates_failed=1,
    reason=REASON,
    quarantine="/s/q/f00.npz",
)
OPTIONS = dataclasses.replace(PASSED, job="option_pipeline", partition=None, gates_passed=2, run_id="run-o")
FLEET = dataclasses.replace(PASSED, job="fleet_verdict", partition=None, gates_passed=5, run_id="run-f")
REPORTS = with_controls(
    {
        "A": judged(report("A", accuracy=0.58, p=1e-6)),
        "B": "its gate failed",
        "C": judged(report("C", accuracy=0.7, p=1e-9)),
        "D": judged(report("D", p=0.6)),
    }
)


def publish(store: ArtifactStore, asset: str, value: Artifact, run_id: str) -> None:
    data = value.to_bytes()
    certificate = certify(
        data, asset=asset, kind=value.kind, extension=value.extension, gates=[GateVerdict("g", True, "ok")],
        code_version="1", run_id=run_id,
    )  # fmt: skip
    store.publish(data, certificate)


def printed(store: ArtifactStore, **change: Any) -> str:
    given: dict[str, Any] = {
        "outcomes": {"A": PASSED, "B": STOPPED, "C": PASSED, "D": PASSED},
        "others": [OPTIONS, FLEET],
        "problems": [],
    }
    console = Console(file=io.StringIO(), width=160)
    print_summary(console, store, **{**given, **change})
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def row(text: str, symbol: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"│ {symbol} "))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(tmp_path / "store")
    publish(store, "promotion", decide(REPORTS), "run-f")
    publish(store, "latency_benchmark", latency_report(1.5), "run-o")
    return store


def test_each_symbol_has_its_verdict_figures_and_reason(store: ArtifactStore) -> None:
    text = printed(store)
    assert [part in row(text, "A") for part in ("17/17", "600", "58.0%", "52.0%", "0.000", "PROMOTE")] == [
        True
    ] * 6
    assert "QUARANTINE" in row(text, "C")
    assert "REJECT" in row(text, "D")
    assert "accuracy on sealed test days" in text
    assert "option_pipeline: gates 2/2 passed, 12 s, ok" in text
    assert "p95 1.50 ms, cached 1.500 ms" in text
    assert "(closed form 1.50 ms), 2,000,000/s in batch" in text


def test_stopped_symbol_shows_why_with_every_bracket(store: ArtifactStore) -> None:
    text = printed(store)
    line = row(text, "B")
    assert "STOPPED" in line
    assert "7/8" in line
    for part in ("gate causal", "[/2020-01-02]", "[bold]rsi[/bold]"):
        assert part in text.replace("\n", "")
    assert "Refused candidates" in text
    assert "/s/q/f00.npz" in text


def test_symbol_that_ran_but_has_no_certified_report_shows_the_fleets_reason(store: ArtifactStore) -> None:
    line = row(printed(store, outcomes={"B": dataclasses.replace(PASSED, partition="B")}), "B")
    assert "REJECT" in line
    assert "no certified report: its gate failed" in line


def test_missing_verdict_is_said_and_its_run_named(tmp_path: Path) -> None:
    failed = dataclasses.replace(FLEET, success=False, gates_passed=0, reason="promotion: disk full")
    text = printed(ArtifactStore(tmp_path), others=[OPTIONS, failed])
    assert "no verdict" in row(text, "A")
    assert "fleet_verdict: gates 0/0 passed, 12 s, FAILED: promotion: disk full" in text
    assert "p95" not in text


def test_verdict_of_an_earlier_run_is_not_shown_as_todays(store: ArtifactStore) -> None:
    text = printed(store, others=[OPTIONS, dataclasses.replace(FLEET, run_id="another")])
    assert "PROMOTE" not in text
    assert "no verdict" in row(text, "A")


def test_problems_that_call_for_action_are_listed_and_the_rest_counted(store: ArtifactStore) -> None:
    problems = [
        Problem("refused", "x.csv, row 3 [/close]: 'abc' is no number"),
        Problem("conflict", "y.csv and z.csv disagree"),
        Problem("duplicate", "w.csv repeats x.csv"),
    ]
    text = printed(store, problems=problems)
    assert "The price source refused 2:" in text
    assert "row 3 [/close]: 'abc' is no number" in text
    assert "w.csv" not in text
    assert "1 more files" in text
    assert "refused 0" not in printed(store)


def test_where_to_look_is_said(store: ArtifactStore) -> None:
    text = printed(store)
    assert str(store.root) in text
    assert "make ui" in text
