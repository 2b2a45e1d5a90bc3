"""The measurement is of a real process, and a slow or heavy one turns the gate red."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ml_assets.gates.options.latency import sla
from ml_assets.pinn import black_scholes
from ml_assets.pinn.serving import latency_worker, peers_worker
from ml_assets.pinn.serving.latency import LatencyError, LatencyReport, Peer, Timing, _timed, measure_latency
from ml_assets.pinn.serving.timing import random_options, records
from ml_assets.storage.artifact import Artifact
from tests.pinn_fixtures import latency_report, random_weights

# One second in seven of the first hundred quotes: enough for the 95th percentile.
SLEEP = """
import itertools, time
import ml_assets.pinn.serving.cache as serving
fast, calls = serving.value_by_exercise, itertools.count(1)
def slow(*arguments, **options):
    call = next(calls)
    if call % 14 == 0 and call <= 98:
        time.sleep(1.0)
    return fast(*arguments, **options)
serving.value_by_exercise = slow
"""


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.npz"
    path.write_bytes(random_weights(1).to_bytes())
    return path


def measured(weights_file: Path, **environment: str) -> LatencyReport:
    return measure_latency(
        weights=weights_file, quotes=100, batches=(16,), peers=False, environment=environment
    )


def plant(folder: Path, code: str) -> str:
    """A module that Python runs at the start of the measured process; returns its PYTHONPATH."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def test_fresh_process_passes_and_report_round_trips(weights_file: Path) -> None:
    report = measured(weights_file)
    verdict = sla(report)
    assert verdict.passed, verdict.message
    assert verdict.checked == 8
    assert isinstance(report, Artifact)
    assert LatencyReport.from_bytes(report.to_bytes()) == report
    assert report.single.count == report.cached.count == report.price.count == 100
    assert report.threads.count == 800
    assert sum(report.single.counts) == 100
    assert report.cached.p50 < report.single.p50
    assert report.batch_per_second["16"] == pytest.approx(16e3 / report.batch["16"].p50)
    assert report.price_batch_per_second["16"] > 0
    assert 20 < report.resident_mb < 200
    assert report.cold_start_ms > report.single.p50
    assert not report.pandas_imported
    assert report.peers == ()
    assert report.closed_form is None


def test_planted_second_of_sleep_is_measured_and_refused(weights_file: Path, tmp_path: Path) -> None:
    report = measured(weights_file, PYTHONPATH=plant(tmp_path / "slow", SLEEP))
    assert report.single.p95 >= 1000.0
    assert report.cached.p50 < 500.0  # the cache never reaches the sleep
    verdict = sla(report)
    assert not verdict.passed
    assert "limits broken: p95 of a single quote" in verdict.message
    assert verdict.figures["targets_missed"]


@pytest.mark.slow
def test_planted_tensorflow_import_is_refused(weights_file: Path, tmp_path: Path) -> None:
    verdict = sla(measured(weights_file, PYTHONPATH=plant(tmp_path / "heavy", "import tensorflow")))
    assert not verdict.passed
    assert "TensorFlow was imported" in verdict.message
    assert "resident memory" in verdict.message


def test_planted_memory_is_refused(weights_file: Path, tmp_path: Path) -> None:
    folder = plant(tmp_path / "fat", "ballast = bytearray(250_000_000)\nballast[::4096] = b'x' * 61036")
    verdict = sla(measured(weights_file, PYTHONPATH=folder))
    assert not verdict.passed
    assert "resident memory" in verdict.message


def test_failure_of_the_process_is_told_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(LatencyError, match=r"ended with code 1(.|\n)*make pinn"):
        measure_latency(store=tmp_path / "empty", quotes=100, peers=False)


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
    return latency_report()


def test_good_report_meets_every_target(report: LatencyReport) -> None:
    verdict = sla(report)
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
        {"batch": {"64": Timing.of([1600.0]), "10000": Timing.of([5.0])}},
        {"batch": {}},
        {"threads": Timing.of([1500.0] * 200)},
        {"tensorflow_imported": True},
    ],
)
def test_each_limit_decides(report: LatencyReport, change: dict[str, object]) -> None:
    assert not sla(replace(report, **change)).passed  # type: ignore[arg-type]


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
    with pytest.raises(ValueError, match="LatencyReport"):
        LatencyReport.from_bytes(data)


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        measure_latency(quotes=0)


def test_worker_measures_in_process_too(
    weights_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency_worker, "_LARGEST_LIST", 4)
    request = {
        "store": None,
        "weights": str(weights_file),
        "quotes": 5,
        "batches": [8, 4],
        "spawned": time.time(),
    }
    latency_worker.main(json.dumps(request))
    raw = json.loads(capsys.readouterr().out)
    assert len(raw["single_ms"]) == len(raw["cached_ms"]) == len(raw["price_ms"]) == 5
    assert len(raw["threads_ms"]) == 40
    assert min(*raw["single_ms"], raw["cold_start_ms"], *raw["batch_ms"]["8"]) > 0
    assert set(raw["batch_ms"]) == set(raw["price_batch_ms"]) == {"4", "8"}
    assert set(raw["record_batch_ms"]) == {"4"}
    assert raw["weights_sha256"] == hashlib.sha256(weights_file.read_bytes()).hexdigest()
    memory = psutil.Process().memory_info().rss / 1e6
    assert raw["resident_after_large_batches_mb"] == pytest.approx(memory, rel=0.1)


def _fake(price: float) -> peers_worker._Functions:
    return peers_worker._Functions(lambda **_: (price, 0.5), lambda **_: price)


def test_peers_are_measured_or_said_to_be_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> peers_worker._Functions:
        raise ImportError

    fakes = {"there": ("numpy", lambda: _fake(3.0)), "absent": ("numpy", missing)}
    monkeypatch.setattr(peers_worker, "_PEERS", fakes)
    monkeypatch.setattr(peers_worker, "_LOOPED", 20)
    peers_worker.main(json.dumps({"quotes": 5, "batches": [4]}))
    closed, there, absent = (Peer(**_timed(raw)) for raw in json.loads(capsys.readouterr().out))
    assert closed.name.startswith("closed form")
    assert closed.single is not None
    assert closed.single.count == 5
    assert set(closed.batch_per_second) == {"4"}
    assert there.price is not None
    assert there.largest_difference is not None
    assert there.largest_difference > 0.01, "a peer that prices something else shows"
    assert "pip install" in absent.missing
    assert absent.single is None


@pytest.mark.parametrize("name", list(peers_worker._PEERS))
def test_each_peer_prices_the_same_thing(name: str) -> None:
    package, load = peers_worker._PEERS[name]
    pytest.importorskip(package, exc_type=ImportError)
    functions = load()
    for option in records(random_options(20, seed=3)):
        exact = black_scholes(**option)
        found = functions.greeks(**option)
        assert len(found) == 6
        assert (
            found[0] == functions.price(**option) == pytest.approx(float(exact["price"]), rel=1e-9, abs=1e-9)
        )
        assert found[1] == pytest.approx(float(exact["delta"]), rel=1e-9)


def test_memory_is_known_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_proc(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(latency_worker, "open", no_proc, raising=False)
    expected = psutil.Process().memory_info().rss / 1e6
    assert latency_worker.resident_megabytes() == pytest.approx(expected, rel=0.1)
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert math.isnan(latency_worker.resident_megabytes())
