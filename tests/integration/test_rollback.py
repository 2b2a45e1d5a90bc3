"""Going back to an earlier release while what a new one would be made of has been closed by hand.

The release is the real one, read through the real IO manager; what it reads has a gate that always passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import pytest

from ml_assets.forecasts.release import Release
from ml_assets.forecasts.targets import TARGETS, VARIANCE
from ml_assets.forecasts.verdicts import Verdict
from ml_assets.storage.artifact import Artifact
from orchestration.assets.release import release
from orchestration.gating import Staged, collect_gates, gated_asset, verified
from orchestration.gating.io_manager import GatedIOManager
from orchestration.settings import Settings
from tests.integration import toys
from tests.unit.forecasts.test_release import Fleet, fleet

__all__ = ["fleet"]  # the fixture

INPUTS = ["promotion", "latency_benchmark", "pinn_weights", "volatility_promotion"]


@dataclass
class Served:
    """An instance in which all that a release reads can be made anew, closed by hand, and released."""

    instance: dg.DagsterInstance
    fleet: Fleet
    number: int = 0

    def run(self, *names: str, back_to: str = "") -> dg.ExecuteInProcessResult:
        """Materialize assets by name."""
        value: dict[str, Artifact] = {
            "promotion": replace(
                self.fleet.verdicts,
                verdicts=[replace(v, reason=f"number {self.number}") for v in self.fleet.verdicts.verdicts],
            ),
            "latency_benchmark": toys.Toy(f"latency {self.number}"),
            "pinn_weights": toys.Toy(f"network {self.number}"),
            "volatility_promotion": VARIANCE.promotion(
                VARIANCE.rule,
                [1],
                [Verdict("A", 1, "REJECT", f"number {self.number}", 0, None, None, None, None, 1.0, 1.0, 0)],
                [],
                None,
                [],
            ),
        }
        # The measurement names the network that it measured, as the real one does.
        made = [
            _source(name, value[name], upstream="pinn_weights" if name == "latency_benchmark" else None)
            for name in INPUTS
        ]
        io_manager = GatedIOManager(
            self.fleet.store, collect_gates([*made, release]), wait_seconds=0.1, wait_tries=1, decode=_decode
        )
        return dg.materialize(
            [*made, release],
            selection=list(names),
            instance=self.instance,
            resources={"store": self.fleet.store, "settings": Settings(), "io_manager": io_manager},
            run_config={"ops": {"release": {"config": {"rollback_to": back_to}}}} if back_to else None,
            raise_on_error=False,
        )

    def renew(self) -> str:
        """Make all inputs anew and release them; the hash of the release."""
        self.number += 1
        assert self.run(*INPUTS).success
        assert self.run("release").success
        return self.current("release")

    def close(self, asset: str) -> None:
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key=dg.AssetKey(asset), check_name="gate", passed=False)
        )

    def current(self, asset: str) -> str:
        version = self.fleet.store.current(asset)
        assert version is not None
        return version.sha256


def _source(name: str, value: Artifact, upstream: str | None) -> dg.AssetsDefinition:
    def alone(context: dg.AssetExecutionContext) -> Staged:
        return Staged(value)

    def reading(context: dg.AssetExecutionContext, upstream: Any) -> Staged:
        return Staged(value, inputs=[upstream])

    compute = alone if upstream is None else reading
    compute.__name__ = name
    ins = None if upstream is None else {"upstream": verified(upstream)}
    return gated_asset(gates=[toys.PASS], ins=ins)(compute)


def _decode(kind: str, data: bytes) -> Artifact:
    kinds = (*(target.promotion for target in TARGETS), Release, toys.Toy)
    known: dict[str, Any] = {k.kind: k for k in kinds}
    found: Artifact = known[kind].from_bytes(data)
    return found


def _said(result: dg.ExecuteInProcessResult) -> str:
    (failure,) = (e.step_failure_data.user_failure_data for e in result.all_events if e.is_step_failure)
    assert failure is not None
    return failure.description or ""


@pytest.fixture
def served(fleet: Fleet) -> Iterator[Served]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Served(instance, fleet)


@pytest.mark.parametrize("asset", INPUTS)
def test_a_rollback_passes_over_what_was_closed_by_hand(served: Served, asset: str) -> None:
    first, before = served.renew(), {a: served.current(a) for a in INPUTS}
    served.renew()
    newest = {a: served.current(a) for a in INPUTS}
    served.close(asset)
    result = served.run("release", back_to=first)
    assert result.success, _said(result)
    data, certificate = served.fleet.store.read("release")
    assert dict(certificate.inputs) == before
    assert Release.from_bytes(data).passed_over == newest


@pytest.mark.parametrize("asset", INPUTS)
def test_no_release_is_made_of_what_was_closed_by_hand(served: Served, asset: str) -> None:
    served.renew()
    served.number += 1
    assert served.run(*INPUTS).success
    before, closed = served.current("release"), served.current(asset)
    served.close(asset)
    result = served.run("release")
    if asset == "volatility_promotion":  # a help, but no need: released without it
        assert asset not in served.fleet.store.read("release")[1].inputs
        return
    assert f"{asset} may not be read" in _said(result)
    assert f"version {closed[:12]}: gate gate FAILED in a report by hand" in _said(result)
    assert served.current("release") == before


@pytest.mark.parametrize("asset", INPUTS)
def test_no_rollback_leads_to_the_very_version_that_was_closed(served: Served, asset: str) -> None:
    first = served.renew()
    served.number += 1
    assert served.run("volatility_promotion" if asset == "promotion" else "promotion").success
    assert served.run("release").success
    second = served.current("release")
    assert second != first
    served.close(asset)
    result = served.run("release", back_to=first)
    assert f"it was made of {asset} {served.current(asset)[:12]}, which may not be read" in _said(result)
    assert served.current("release") == second
