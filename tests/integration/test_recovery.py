"""Faults inside the compiled epoch of a running asset: it ends certified, and says what happened to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_assets.forecasts.variance import VolatilityWeights
from ml_assets.mamba import MambaBaseWeights, MambaWeights, train_mamba, trainer
from ml_assets.pinn import PinnWeights
from ml_assets.prices.simulated import simulate
from ml_assets.training import TrainingRecord
from ml_assets.training.backend import tf
from ml_assets.windows.augmented_set import AugmentedSet
from orchestration.assets import networks
from orchestration.fleet.run import RunOutcome
from tests.american_fixtures import LIMITS
from tests.faults.test_full_disk import mounted
from tests.integration.conftest import SETTINGS
from tests.integration.project import Market, Project, open_project

pytestmark = [pytest.mark.xdist_group("recovery"), pytest.mark.slow]

SMALL = {"epochs": 4, "test_days": 500, "folds": 2}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Two walks with certified sequences and training sets; no model yet."""
    market = {
        name: simulate("random_walk", 1300, seed=seed, symbol=name).prices
        for seed, name in enumerate(("WALK", "TALK"))
    }
    with open_project(tmp_path_factory.mktemp("recovery"), Market(market), **SMALL) as opened:
        for name in market:
            assert opened.run_symbol(name, "raw_prices", "split_sequences", "augmented_training_set").success
        yield opened


@dataclass
class Fault:
    """Strikes inside the graph of an epoch; `left` is how often, `micro_batch` and `epoch` say where."""

    act: Callable[[Any], None]
    left: int = 1
    above: int = 0
    epoch: int = 1

    def strike(self, model: Any, micro_batch: int, epoch: int) -> None:
        if self.left and micro_batch > self.above and epoch == self.epoch:
            self.left -= 1
            self.act(model)


def _raise(error: Exception) -> Callable[[Any], None]:
    def act(_: Any) -> None:
        raise error

    return act


def _poison(model: Any) -> None:
    model.head.bias.assign(np.full(model.head.bias.shape, np.nan))


def oom() -> Fault:
    """Whole batches of 16 do not fit, and neither do halves; as often as they are tried."""
    return Fault(_raise(MemoryError("OOM when allocating")), 10**6, above=4)


def cuda() -> Fault:
    return Fault(_raise(RuntimeError("CUDA error: an illegal memory access")), epoch=2)


def nan() -> Fault:
    return Fault(_poison, epoch=3)


def as_on_a_gpu(graph: Callable[..., Any]) -> Callable[..., Any]:
    """Python's exceptions leave a graph as `UnknownError`, a MemoryError as `ResourceExhaustedError`; CUDA's
    are internal ones."""

    def run(*arguments: Any) -> Any:
        try:
            return graph(*arguments)
        except tf.errors.UnknownError as error:
            raise tf.errors.InternalError(None, None, str(error)) from error

    return run


@contextmanager
def inside_the_epoch(fault: Fault) -> Iterator[None]:
    """Let a fault strike in the graph of every epoch compiled in this block, before its first step."""
    compiled, reset = trainer._compiled_epoch, trainer.Trainer.reset
    epochs: dict[int, int] = {}

    def disturbed(model: Any, *rest: Any) -> Any:
        whole = compiled(model, *rest)

        def strike() -> None:
            epochs[id(model)] = epochs.get(id(model), 0) + 1
            fault.strike(model, rest[-1], epochs[id(model)])

        @tf.function(input_signature=whole.input_signature)
        def epoch(X: Any, targets: Any) -> Any:
            tf.py_function(strike, [], [])
            return whole(X, targets)

        return as_on_a_gpu(epoch)

    def counted_anew(self: trainer.Trainer, *arguments: Any) -> None:
        epochs[id(self.model)] = 0
        reset(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "_compiled_epoch", disturbed)
        patch.setattr(trainer.Trainer, "reset", counted_anew)
        trainer.forget_trainers()
        try:
            yield
        finally:
            trainer.forget_trainers()


def told(project: Project, asset: str, partition: str | None, outcome: RunOutcome) -> tuple[str, ...]:
    """The events of a version that was certified in spite of all: in its certificate and its metadata."""
    assert outcome.success, outcome.reason
    certificate = project.current(asset, partition)
    assert certificate.passed
    assert certificate.run_id == outcome.run_id
    shown = project.materializations(asset, partition)[0].metadata
    assert tuple(shown["events"].value) == certificate.events
    return certificate.events


FAULTS = {
    "oom": (
        oom,
        ("out of memory at batch size 16; went on with 8", "out of memory at batch size 8; went on with 4"),
        lambda r: (r.micro_batch, r.device, r.restarts) == (4, "default", ()),
    ),
    "cuda": (cuda, ("CUDA error",), lambda r: (r.micro_batch, r.device, r.restarts) == (0, "cpu", ())),
    "nan": (
        nan,
        ("NaN loss detected at epoch 3",),
        lambda r: (r.micro_batch, r.device, r.restarts) == (0, "default", (("scratch", 3),)),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_disturbed_model_and_its_folds_end_certified_by_the_same_gates(project: Project, name: str) -> None:
    """The gates train a fold again without the fault: by its record the very same probabilities come out."""
    make, expected, holds = FAULTS[name]
    fault = make()
    with inside_the_epoch(fault):
        events = told(project, "mamba_weights", "WALK", project.run_symbol("WALK", "mamba_weights"))
        assert all(text in message for text, message in zip(expected, events, strict=True))
        weights = MambaWeights.from_bytes(project.store.read("mamba_weights", "WALK")[0])
        assert events == weights.recovery.messages
        assert holds(weights.recovery)
        fault.left = make().left
        outcome = project.run_symbol("WALK", "walk_forward_report")
        events = told(project, "walk_forward_report", "WALK", outcome)
        assert all(e.startswith("fold 1: ") and text in e for text, e in zip(expected, events, strict=True))
        fault.left = 0
        rows = AugmentedSet.from_bytes(project.store.read("augmented_training_set", "WALK")[0])
        again = train_mamba(rows, weights.config, weights.recipe, seed=weights.seed, record=weights.recovery)
    assert again.to_bytes() == weights.to_bytes()


@pytest.mark.parametrize(
    "name", ["oom", *(pytest.param(name, marks=pytest.mark.torture) for name in FAULTS if name != "oom")]
)
def test_so_does_a_model_of_variance(project: Project, name: str) -> None:
    make, expected, holds = FAULTS[name]
    fault = make()
    with inside_the_epoch(fault):
        for asset in ("volatility_weights", "volatility_report"):
            fault.left = make().left
            events = told(project, asset, "TALK", project.run("volatility_pipeline", "TALK", asset))
            assert all(text in message for text, message in zip(expected, events, strict=True))
    assert holds(VolatilityWeights.from_bytes(project.store.read("volatility_weights", "TALK")[0]).recovery)


def test_so_does_the_base_model(project: Project) -> None:
    """All at once: a CUDA error in epoch 2, a NaN in epoch 3, and no room for more than 4 windows."""
    faults = [cuda(), nan(), oom()]

    def strike(model: Any, *at: int) -> None:
        for fault in faults:
            fault.strike(model, *at)

    everything = Fault(_poison)
    everything.strike = strike  # type: ignore[method-assign]
    with inside_the_epoch(everything):
        events = told(project, "mamba_base_weights", None, project.run("base_pipeline"))
    record = MambaBaseWeights.from_bytes(project.store.read("mamba_base_weights")[0]).recovery
    assert events == record.messages
    assert (record.micro_batch, record.device, record.restarts) == (4, "cpu", (("scratch", 3),))


def test_without_memory_for_anything_the_asset_fails_and_says_what_to_do(project: Project) -> None:
    fault = oom()
    fault.above = 0
    before = project.current("mamba_weights", "WALK").sha256
    with inside_the_epoch(fault):
        outcome = project.run_symbol("WALK", "mamba_weights")
    assert not outcome.success
    assert "out of memory even at batch size 4" in str(outcome.reason)
    assert "use a smaller model" in str(outcome.reason)
    assert project.current("mamba_weights", "WALK").sha256 == before, "what was certified stays"


@contextmanager
def inside_the_loss(target: str, name: str, strike: Callable[[int], float]) -> Iterator[None]:
    """Let ``strike(points)`` run in the graph of a network's loss: it raises, or gives a factor on it."""
    module = pytest.importorskip(target)
    compile_loss = getattr(module, name)

    def disturbed(*shape: Any) -> Any:
        whole = compile_loss(*shape)

        @tf.function(autograph=False)
        def loss_and_gradient(parameters: Any, points: Any, *rest: Any) -> Any:
            count = tf.shape(tf.nest.flatten(points)[0])[0]
            factor = tf.py_function(lambda n: np.float64(strike(int(n))), [count], tf.float64)
            loss, gradient, terms = whole(parameters, points, *rest)
            return loss * factor, gradient, terms

        return as_on_a_gpu(loss_and_gradient)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, disturbed)
        yield


def option_faults() -> Callable[[int], float]:
    """No room for a whole draw, then a CUDA error, then a loss that is no number: each once but the first."""
    calls = iter(range(10**9))

    def strike(points: int) -> float:
        if points >= 512:
            raise MemoryError("OOM when allocating")
        n = next(calls)
        if n == 20:
            raise RuntimeError("CUDA error: an illegal memory access")
        return float("nan") if n == 40 else 1.0

    return strike


OPTION_EVENTS = (
    "out of memory at batch size",
    "out of memory at batch size",
    "CUDA error",
    "NaN loss detected: the training loss is nan after",
)


def test_the_option_network_ends_certified_after_all_of_them_and_a_full_disk(tmp_path: Path) -> None:
    """Its checkpoints, of 2 MB each, lie on a real file system of 3 MB."""
    settings = {name: value for name, value in SETTINGS.items() if name.startswith("pinn")}
    (tmp_path / "checkpoints").mkdir()
    with (
        mounted(tmp_path / "checkpoints", "3m"),
        open_project(tmp_path, Market({}), **settings) as project,
        inside_the_loss("ml_assets.pinn.european.training", "compile_loss", option_faults()),
    ):
        outcome = project.run("option_pipeline", None, "pinn_weights")
        events = told(project, "pinn_weights", None, outcome)
        weights = PinnWeights.from_bytes(project.store.read("pinn_weights")[0])
        assert not list((tmp_path / "checkpoints").rglob("*.npz")), "complete: nothing to resume"
    assert all(text in m for text, m in zip(OPTION_EVENTS, events[:4], strict=True))
    assert events[4:] == ("disk full: older checkpoints were removed, the newest complete one was kept",)
    assert weights.recovery.messages == events
    assert (weights.recovery.micro_batch, weights.recovery.device) == (256, "cpu")


def test_so_is_told_what_happened_to_the_american_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So short a training passes no gate; what went wrong stands in the certificate of the refused one."""
    monkeypatch.setattr(networks, "_american_limits", lambda: LIMITS)  # the gates' small sample
    settings = {"american_adam_steps": 15, "american_bfgs_iterations": 0}
    with (
        open_project(tmp_path, Market({}), **settings) as project,
        inside_the_loss("ml_assets.pinn.american.training", "compile_boundary_loss", american_faults()),
    ):
        assert not project.run("american_pipeline").success
        (path,) = Path(project.settings.store_url).glob("american_weights/**/quarantine/*.certificate.json")
    events = json.loads(path.read_text())["events"]
    assert all(text in m for text, m in zip(OPTION_EVENTS, events, strict=True))


def american_faults() -> Callable[[int], float]:
    strike = option_faults()
    return lambda points: strike(points // 4)  # draws of 4096 points


def test_an_undisturbed_training_has_no_record(project: Project) -> None:
    outcome = project.run_symbol("TALK", "mamba_weights")
    assert outcome.success, outcome.reason
    data, certificate = project.store.read("mamba_weights", "TALK")
    assert certificate.events == ()
    assert MambaWeights.from_bytes(data).recovery == TrainingRecord()
    assert "events" not in project.materializations("mamba_weights", "TALK")[0].metadata
