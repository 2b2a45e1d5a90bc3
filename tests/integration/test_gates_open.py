"""The gates do not over-block: what has passed is read, and a refused candidate harms nothing."""

from typing import Any

import dagster as dg
import pytest

from ml_assets.storage import ArtifactStore
from orchestration.gating import gated_asset
from tests.integration import toys
from tests.integration.test_bypass import Lab, lab, lab_text

__all__ = ["lab"]


def test_pass_is_read(lab: Lab) -> None:
    lab.run(lab.assets("gated_source"))
    assert lab.read("gated_one")
    assert lab.read("gated_each", "B")


def test_recovers_after_a_good_run(lab: Lab) -> None:
    lab.flag("bad_source")
    lab.run(lab.assets("gated_source"))
    assert not lab.read("gated_one")
    lab.flag("bad_source", on=False)
    lab.run(lab.assets("gated_source"))
    assert lab.read("gated_one")


def test_refused_candidate_leaves_the_last_version_and_lies_in_quarantine(lab: Lab) -> None:
    lab.flag("text", text="version 1")
    lab.run(lab.assets("gated_source"))
    lab.flag("text", text="version 2")
    lab.flag("bad_source")
    result = lab.run(lab.assets("gated_source"))
    assert not result.success
    assert lab.materialized("gated_source") == 1
    assert lab.read("gated_one")
    assert lab_text(lab, "gated_one") == "source version 1"
    refused = ArtifactStore(lab.root / "store").quarantined("gated_source")
    assert [c.passed for c in refused] == [False]
    assert refused[0].gates[0].message == "looked at 'source version 2'"


def test_same_bytes_refused_later_close_the_version(lab: Lab) -> None:
    """The newest verdict on the very bytes decides: a gate that learned better withdraws its pass."""
    lab.run(lab.assets("gated_source"))
    assert lab.read("gated_one")
    lab.flag("bad_source")
    lab.run(lab.assets("gated_source"))
    assert not lab.read("gated_one")


@pytest.mark.parametrize("reader", ["gated_all", "gated_lazy"])
def test_fan_in_is_strict_by_default_and_reads_once_all_pass(lab: Lab, reader: str) -> None:
    lab.run(lab.assets("gated_parts"), "A")
    assert not lab.read(reader)
    lab.run(lab.assets("gated_parts"), "B")
    assert lab.read(reader)


def test_range_run_is_refused_with_a_remedy(lab: Lab) -> None:
    lab.run(lab.assets("gated_source"))
    tags = {"dagster/asset_partition_range_start": "A", "dagster/asset_partition_range_end": "B"}
    result = lab.run(lab.assets("gated_each"), tags=tags)
    assert not result.success
    assert lab.materialized("gated_each") == 0


def test_gate_that_breaks_is_closed(lab: Lab) -> None:
    lab.flag("slow", text="not a number")  # float() raises inside the gate
    result = lab.run(lab.assets("gated_source"))
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert "the gate itself broke: ValueError" in (evaluation.description or "")
    assert lab.materialized("gated_source") == 0


def test_verdict_names_the_bytes_and_targets_its_own_materialization(lab: Lab) -> None:
    result = lab.run(lab.assets("gated_source"))
    (evaluation,) = result.get_asset_check_evaluations()
    record = lab.instance.fetch_materializations(dg.AssetKey("gated_source"), limit=1).records[0]
    assert evaluation.target_materialization_data is not None
    assert evaluation.target_materialization_data.storage_id == record.storage_id
    assert record.asset_materialization is not None
    assert evaluation.metadata["sha256"] == record.asset_materialization.metadata["sha256"]


def test_bare_value_is_not_stored(lab: Lab) -> None:
    @dg.asset
    def ungated() -> str:
        return "no gate has seen this"

    defs = toys.build()
    result = dg.materialize(
        [ungated],
        instance=lab.instance,
        resources={"io_manager": defs.resources["io_manager"]},
        raise_on_error=False,
    )  # type: ignore[index]
    assert not result.success
    assert lab.materialized("ungated") == 0


def test_slow_gate_that_passes_is_waited_for(lab: Lab) -> None:
    lab.flag("slow", text="4")
    with lab.gate_running("gated_source"):
        assert lab.read("gated_one")


@pytest.mark.parametrize(
    ("gates", "message"), [([], "at least one gate"), ([toys.PASS, toys.PASS], "two gates are called 'gate'")]
)
def test_an_asset_needs_gates_with_names_of_their_own(gates: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gated_asset(gates=gates)
