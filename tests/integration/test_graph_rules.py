"""The real graph keeps the rules on which the gates rest; each rule is shown to notice its breach."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ml_assets.gates.core import Gate, GateResult
from ml_assets.storage import ArtifactStore
from orchestration import definitions
from orchestration.gating import Staged, collect_gates, gated_asset, verified
from orchestration.gating.io_manager import GatedIOManager
from orchestration.partitions import SYMBOLS

ROOT = Path(__file__).parents[2]
ASSETS: list[dg.AssetsDefinition] = list(definitions.defs.assets)  # type: ignore[arg-type]
# contract.md, the asset graph.
EDGES = {
    ("raw_prices", "split_sequences"),
    ("split_sequences", "augmented_training_set"),
    ("augmented_training_set", "mamba_weights"),
    ("split_sequences", "mamba_base_weights"),
    ("mamba_base_weights", "mamba_weights"),
    ("mamba_weights", "walk_forward_report"),
    ("walk_forward_report", "promotion"),
    ("pinn_weights", "latency_benchmark"),
    ("option_quotes", "option_walk_forward"),
    ("pinn_weights", "option_walk_forward"),
    ("raw_prices", "fleet_median"),
    ("fleet_median", "relative_sequences"),
    ("relative_sequences", "relative_weights"),
    ("relative_weights", "relative_report"),
    ("relative_report", "relative_promotion"),
    ("promotion", "release"),
    ("latency_benchmark", "release"),
    ("raw_prices", "drift_report"),
    ("release", "drift_report"),
    ("raw_prices", "volatility_drift_report"),
    ("release", "volatility_drift_report"),
}
PER_SYMBOL = {
    "raw_prices",
    "split_sequences",
    "augmented_training_set",
    "mamba_weights",
    "walk_forward_report",
    "drift_report",
    "volatility_drift_report",
    "volatility_weights",
    "volatility_report",
    "relative_sequences",
    "relative_weights",
    "relative_report",
    "relative_drift_report",
}


def name_of(asset: dg.AssetsDefinition) -> str:
    return " and ".join(sorted(key.to_user_string() for key in asset.keys))


# ------------------------------------------------------------------ the rules: one sentence per breach


def unread_edges(asset: dg.AssetsDefinition) -> Iterator[str]:
    """An upstream that no input of the op reads is joined without being verified."""
    for spec in asset.specs:
        read = {key for key, node_input in asset.node_keys_by_input_name.items() if _is_read(asset, key)}
        keys = {asset.keys_by_input_name[name] for name in read}
        for dep in spec.deps:
            if dep.asset_key not in keys:
                yield f"{name_of(asset)} depends on {dep.asset_key.to_user_string()} without reading it"


def _is_read(asset: dg.AssetsDefinition, input_name: str) -> bool:
    """Dagster gives a ``deps=`` edge an input of type Nothing, which no IO manager loads."""
    return not asset.op.ins[input_name].dagster_type.is_nothing


def missing_gates(asset: dg.AssetsDefinition) -> Iterator[str]:
    checks = list(asset.check_specs)
    if not any(spec.blocking for spec in checks):
        yield f"{name_of(asset)} has no blocking check"
    for spec in checks:
        if not spec.blocking:
            yield f"check {spec.name} of {name_of(asset)} does not block"
        if not spec.description:
            yield f"check {spec.name} of {name_of(asset)} says not what it checks"


def unpartitioned_checks(asset: dg.AssetsDefinition) -> Iterator[str]:
    for spec in asset.check_specs:
        if spec.partitions_def != asset.partitions_def:
            yield f"check {spec.name} of {name_of(asset)} lacks the partitions of the asset"


def not_made_by_gated_asset(asset: dg.AssetsDefinition) -> Iterator[str]:
    """The op must be the one that ``gated_asset`` wraps around the function."""
    function = asset.op.compute_fn.decorated_fn  # type: ignore[union-attr]
    if function.__code__.co_filename != inspect.getsourcefile(gated_asset):
        yield f"{name_of(asset)} is not made by gated_asset"


def lost_verdicts(asset: dg.AssetsDefinition) -> Iterator[str]:
    policy = asset.backfill_policy
    if policy is not None and policy.max_partitions_per_run != 1:
        # None is all of them: the policy single_run.
        yield f"{name_of(asset)} takes {policy.max_partitions_per_run or 'all'} partitions in a run"
    if asset.can_subset or len(list(asset.keys)) != 1:
        yield f"{name_of(asset)} is a multi-asset"


def other_io_managers(asset: dg.AssetsDefinition) -> Iterator[str]:
    for name, output in asset.op.outs.items():
        if output.io_manager_key != "io_manager":
            yield f"{name_of(asset)} stores {name} by {output.io_manager_key}"
    for name, op_input in asset.op.ins.items():
        if op_input.input_manager_key is not None:
            yield f"{name_of(asset)} reads {name} by {op_input.input_manager_key}"


RULES: list[Callable[[dg.AssetsDefinition], Iterator[str]]] = [
    unread_edges,
    missing_gates,
    unpartitioned_checks,
    not_made_by_gated_asset,
    lost_verdicts,
    other_io_managers,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_asset_keeps_the_rule(rule: Callable[[dg.AssetsDefinition], Iterator[str]]) -> None:
    assert len(ASSETS) >= 9
    assert [breach for asset in ASSETS for breach in rule(asset)] == []


def _staged(context: dg.AssetExecutionContext) -> Staged:
    raise NotImplementedError


def _reader(context: dg.AssetExecutionContext, up: object) -> Staged:
    raise NotImplementedError


def _judge(value: object, evidence: object) -> GateResult:
    raise NotImplementedError


def gated(function: Callable[..., Staged] = _staged, **options: Any) -> dg.AssetsDefinition:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`")
        return gated_asset(gates=[Gate("g", "a gate", _judge)], **options)(function)


@dg.asset
def bare() -> None: ...


@dg.asset(check_specs=[dg.AssetCheckSpec("g", asset="loose", blocking=True)], partitions_def=SYMBOLS)
def loose() -> Iterator[Any]:
    yield


@dg.multi_asset(specs=[dg.AssetSpec("one"), dg.AssetSpec("two")], can_subset=True)
def several() -> Iterator[Any]:
    yield


@pytest.mark.parametrize(
    ("rule", "asset"),
    [
        (unread_edges, gated(deps=["raw_prices"])),
        (missing_gates, bare),
        (missing_gates, loose),  # says not what it checks
        (unpartitioned_checks, loose),
        (not_made_by_gated_asset, bare),
        (lost_verdicts, gated(partitions_def=SYMBOLS, backfill_policy=dg.BackfillPolicy.single_run())),
        (lost_verdicts, gated(partitions_def=SYMBOLS, backfill_policy=dg.BackfillPolicy.multi_run(5))),
        (lost_verdicts, several),
        (other_io_managers, gated(io_manager_key="files")),
        (other_io_managers, gated(_reader, ins={"up": dg.AssetIn("raw_prices", input_manager_key="files")})),
    ],
)
def test_each_rule_notices_its_breach(
    rule: Callable[[dg.AssetsDefinition], Iterator[str]], asset: dg.AssetsDefinition
) -> None:
    assert list(rule(asset))


def test_verified_input_is_an_edge_that_is_read() -> None:
    asset = gated(_reader, ins={"up": verified("raw_prices")})
    assert {dep.asset_key.to_user_string() for spec in asset.specs for dep in spec.deps} == {"raw_prices"}
    assert list(unread_edges(asset)) == []


# ------------------------------------------------------------------ the graph as a whole


def test_the_stages_and_arrows_of_the_contract() -> None:
    found = {(dep.asset_key.to_user_string(), name_of(a)) for a in ASSETS for s in a.specs for dep in s.deps}
    assert found >= EDGES
    assert {name_of(asset) for asset in ASSETS} >= {name for edge in EDGES for name in edge}


def test_what_is_per_symbol_and_what_is_of_the_fleet() -> None:
    partitioned = {name_of(asset) for asset in ASSETS if asset.partitions_def is not None}
    assert partitioned == PER_SYMBOL
    assert all(a.partitions_def == SYMBOLS for a in ASSETS if name_of(a) in PER_SYMBOL)


def test_no_check_stands_beside_the_ops() -> None:
    """A gate that is its own step could be left out of a selection."""
    assert list(definitions.defs.asset_checks or []) == []


def test_the_io_manager_is_the_verifying_one_with_every_gate() -> None:
    manager = definitions.defs.resources["io_manager"]  # type: ignore[index]
    assert isinstance(manager, GatedIOManager)
    assert manager._gates == collect_gates(ASSETS)
    assert manager._gates.keys() == {name_of(asset) for asset in ASSETS}
    assert isinstance(definitions.defs.resources["store"], ArtifactStore)  # type: ignore[index]
    assert manager._store is definitions.defs.resources["store"]  # type: ignore[index]


def test_every_gate_that_an_asset_declares_it_brings() -> None:
    """Compare the two literal dicts in the source, so that no run is needed to notice a forgotten gate."""
    for asset in ASSETS:
        function = inspect.unwrap(asset.op.compute_fn.decorated_fn)  # type: ignore[union-attr]
        body = ast.parse(inspect.getsource(inspect.getmodule(function)))  # type: ignore[arg-type]
        definition = next(
            n
            for n in ast.walk(body)
            # Its name in the source: one function may make the assets of several targets.
            if isinstance(n, ast.FunctionDef) and n.name == function.__code__.co_name
        )
        calls = [
            n
            for n in ast.walk(definition)
            if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Staged"
        ]
        every = [n for n in ast.walk(definition) if isinstance(n, ast.Call)]
        declared = [k.value for call in every for k in call.keywords if k.arg == "gates"]
        # Gates that are values are the asset's own; texts alone must be brought to life by `Staged`.
        brought = [k.value for call in calls for k in call.keywords if k.arg == "gates"]
        assert brought or not any(isinstance(gates, ast.Dict) for gates in declared), name_of(asset)
        for gates in brought:
            if isinstance(gates, ast.Dict):
                names = {key.value for key in gates.keys if isinstance(key, ast.Constant)}
                assert names == collect_gates([asset])[name_of(asset)]


def test_every_job_holds_whole_assets_with_their_gates() -> None:
    repository = definitions.defs.get_repository_def()
    for job in repository.get_all_jobs():
        for key in job.asset_layer.executable_asset_keys:
            if job.name.startswith("__"):
                continue
            checks = {check.name for check in job.asset_layer.asset_graph.get_check_keys_for_assets({key})}
            assert checks == collect_gates(ASSETS)[key.to_user_string()]


# ------------------------------------------------------------------ loading


def python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ML_ASSETS_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_loads_from_any_folder_without_tensorflow_and_writes_nothing(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from orchestration.definitions import defs\n"
        "assert len(list(defs.assets)) >= 9\n"
        "heavy = {'tensorflow', 'keras', 'yfinance', 'skfolio'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    done = python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_workspace_validates(tmp_path: Path) -> None:
    """What ``dagster dev`` does first: a code server is started on workspace.yaml."""
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path), "ML_ASSETS_HOME": str(tmp_path)}
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(ROOT / "workspace.yaml")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Validation successful for code location gated-mamba" in done.stdout + done.stderr
