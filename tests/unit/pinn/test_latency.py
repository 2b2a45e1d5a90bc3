"""The measurement is of a real process, and a slow or heavy one turns the gate red."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ml_assets.artifact import Artifact
from ml_assets.gates.latency import LatencySla, latency_gate
from ml_assets.pinn import latency_worker
from ml_assets.pinn.latency import LatencyError, LatencyReport, Timing, measure_latency
from tests.pinn_fixtures import random_weights

SLEEP = """
import time
import ml_assets.pinn.serving as serving
fast = serving.value_quotes
def slow(*arguments):
    time.sleep(0.03)
    return fast(*arguments)
serving.value_quotes = slow
"""


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.npz"
    path.write_bytes(random_weights(1).to_bytes())
    return path


def measured(weights_file: Path, **environment: str) -> LatencyReport:
    return measure_latency(weights=weights_file, quotes=100, batches=(16,), environment=environment)


def plant(folder: Path, code: str) -> str:
    """A module that Python runs at the start of the measured process; returns its PYTHONPATH."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    return str(folder)


def test_fresh_process_passes_and_report_round_trips(weights_file: Path) -> None:
    report = measured(weights_file)
    verdict = latency_gate(report)
    assert verdict.passed, verdict.message
    assert verdict.checked == 7
    assert isinstance(report, Artifact)
    assert LatencyReport.from_bytes(report.to_bytes()) == report
    assert report.single.count == report.cached.count == sum(report.single.counts) == 100
    assert report.cached.p50 < report.single.p50
    assert 20 < report.resident_mb < 200
    assert report.cold_start_ms > report.single.p50
    assert not report.pandas_imported


def test_planted_sleep_is_measured_and_refused(weights_file: Path, tmp_path: Path) -> None:
    report = measured(weights_file, PYTHONPATH=plant(tmp_path / "slow", SLEEP))
    assert report.single.p50 > 30.0
    assert report.cached.p50 < 5.0  # the cache never reaches the sleep
    verdict = latency_gate(report, LatencySla(single_p95_ms=25.0))
    assert not verdict.passed
    assert "p95 of a single quote" in verdict.message
    assert "targets missed" in latency_gate(report).message
    assert not latency_gate(report, LatencySla(batch_per_second=1e4)).passed


def test_planted_tensorflow_import_is_refused(weights_file: Path, tmp_path: Path) -> None:
    folder = plant(tmp_path / "heavy", "import tensorflow")
    (tmp_path / "heavy" / "tensorflow.py").write_text(
        ""
    )  # the name is what is looked for; the real one takes 6 s
    verdict = latency_gate(measured(weights_file, PYTHONPATH=folder))
    assert not verdict.passed
    assert "TensorFlow was imported" in verdict.message


def test_planted_memory_is_refused(weights_file: Path, tmp_path: Path) -> None:
    folder = plant(tmp_path / "fat", "ballast = bytearray(250_000_000)\nballast[::4096] = b'x' * 61036")
    verdict = latency_gate(measured(weights_file, PYTHONPATH=folder))
    assert not verdict.passed
    assert "resident memory" in verdict.message


def test_failure_of_the_process_is_told_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(LatencyError, match=r"ended with code 1(.|\n)*make pinn"):
        measure_latency(store=tmp_path / "empty", quotes=100)


def test_slow_start_is_given_up(weights_file: Path, tmp_path: Path) -> None:
    folder = plant(tmp_path / "stuck", "import time; time.sleep(60)")
    with pytest.raises(LatencyError, match="no result within 1 s"):
        measure_latency(weights=weights_file, environment={"PYTHONPATH": folder}, timeout=1.0)


def test_process_without_a_result_is_an_error(weights_file: Path, tmp_path: Path) -> None:
    folder = plant(tmp_path / "mute", "import os; os._exit(0)")
    with pytest.raises(LatencyError, match="printed no result"):
        measured(weights_file, PYTHONPATH=folder)


@pytest.fixture(scope="module")
def report() -> LatencyReport:
    timing = Timing.of([0.1] * 200)
    return LatencyReport(
        weights_sha256="0" * 64,
        cold_start_ms=500.0,
        single=timing,
        cached=timing,
        closed_form=timing,
        batch_per_second={"64": 1e5, "10000": 2e6},
        record_batch_per_second={"64": 1e5},
        closed_form_batch_per_second={"64": 1e6},
        resident_mb=70.0,
        tensorflow_imported=False,
        pandas_imported=False,
        machine="test",
    )


def test_good_report_meets_every_target(report: LatencyReport) -> None:
    verdict = latency_gate(report)
    assert verdict.passed
    assert verdict.figures["targets_missed"] == 0
    assert "missed" not in verdict.message


@pytest.mark.parametrize(
    "change",
    [
        {"single": Timing.of([1500.0] * 200)},
        {"cached": Timing.of([600.0] * 200)},
        {"single": Timing.of([0.1] * 99)},
        {"resident_mb": 201.0},
        {"resident_mb": float("nan")},
        {"batch_per_second": {"64": 40.0, "10000": 2e6}},
        {"batch_per_second": {}},
        {"tensorflow_imported": True},
    ],
)
def test_each_limit_decides(report: LatencyReport, change: dict[str, object]) -> None:
    assert not latency_gate(replace(report, **change)).passed  # type: ignore[arg-type]


def test_percentiles_and_histogram() -> None:
    timing = Timing.of([float(i) for i in range(1, 101)])
    assert timing.p50 == pytest.approx(50.5)
    assert timing.worst == 100.0
    assert sum(timing.counts) == 100
    assert len(timing.edges) == len(timing.counts) + 1
    for bad in ([], [float("nan")], [-1.0]):
        with pytest.raises(LatencyError, match="measured times"):
            Timing.of(bad)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"single": 3}'])
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(LatencyError, match="no latency report"):
        LatencyReport.from_bytes(data)


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        measure_latency(quotes=0)


def test_worker_measures_in_process_too(weights_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = {
        "store": None,
        "weights": str(weights_file),
        "quotes": 5,
        "batches": [4],
        "spawned": time.time(),
    }
    latency_worker.main(json.dumps(request))
    raw = json.loads(capsys.readouterr().out)
    assert len(raw["single_ms"]) == len(raw["cached_ms"]) == len(raw["closed_form_ms"]) == 5
    assert min(*raw["single_ms"], raw["cold_start_ms"], *raw["batch_per_second"].values()) > 0
    assert raw["weights_sha256"] == hashlib.sha256(weights_file.read_bytes()).hexdigest()
    assert raw["resident_mb"] == pytest.approx(psutil.Process().memory_info().rss / 1e6, rel=0.1)


def test_memory_is_known_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_proc(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(latency_worker, "open", no_proc, raising=False)
    expected = psutil.Process().memory_info().rss / 1e6
    assert latency_worker.resident_megabytes() == pytest.approx(expected, rel=0.1)
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert math.isnan(latency_worker.resident_megabytes())
