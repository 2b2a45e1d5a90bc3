"""Whether a release is stale follows from the versions that it names, whenever which was published."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from ml_assets.forecasts.release import Release, bring_back
from ml_assets.forecasts.targets import DIRECTION, RELATIVE, VARIANCE
from ml_assets.forecasts.verdicts import Promotion, Verdict
from ml_assets.gates.fleet.release import RELEASE_GATES
from ml_assets.storage import Certificate
from orchestration.assets.release import ReleaseConfig, release
from orchestration.fleet.state import stale_verdict
from orchestration.gating import Certified, Refusal
from tests.unit.forecasts.fleets import publish, release_gates
from tests.unit.forecasts.test_release import Fleet, fleet

__all__ = ["fleet"]  # the fixture


def certified(fleet: Fleet, manifest: Release) -> bool:
    """Whether the gate reads every version that a release names."""
    results = release_gates(fleet.store, {}, fleet.latency, manifest)
    return results["every_version_certified"].passed


@dataclass(frozen=True)
class Released:
    """A judged fleet of the one symbol A, and what becomes of its release."""

    fleet: Fleet
    instance: dg.DagsterInstance

    def judge(self, why: str) -> Certificate:
        """Another verdict on the same reports."""
        other = dataclasses.replace(self.fleet.verdicts, void=why)
        return publish(self.fleet.store, "promotion", other.to_bytes(), dict(self.fleet.promotion.inputs))

    def release(self, promotion: Certificate, manifest: Release | None = None) -> Certificate:
        made = {c.asset: c.sha256 for c in (promotion, self.fleet.options, self.fleet.latency)}
        return publish(self.fleet.store, "release", (manifest or self.fleet.compose()).to_bytes(), made)

    def roll_back(self, to: Certificate) -> Certificate:
        """As the asset does: the newest versions, where that release was made of others, are passed over."""
        store = self.fleet.store
        newest = {a: store.current(a) for a in ("promotion", "latency_benchmark", "pinn_weights")}
        earlier = Release.from_bytes(store.read("release", None, to.sha256)[0])
        marked = bring_back(earlier, to.inputs, {a: c.sha256 for a, c in newest.items() if c is not None})
        assert certified(self.fleet, marked)
        return publish(store, "release", marked.to_bytes(), dict(to.inputs))

    @property
    def stale(self) -> str | None:
        found = stale_verdict(self.instance, self.fleet.store)
        return None if found is None else found[0]


@pytest.fixture
def released(fleet: Fleet) -> Iterator[Released]:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("symbols", ["A"])
        yield Released(fleet, instance)


def test_a_release_of_the_newest_versions_is_not_stale(released: Released) -> None:
    assert released.stale == "nothing that can be trusted was released"
    released.release(released.fleet.promotion)
    assert released.stale is None
    released.judge("newer")
    assert released.stale == "another promotion than the released one"


def test_an_older_manifest_published_last_is_stale(released: Released) -> None:
    """A run read the verdicts, others were published, and then it published its manifest."""
    read = released.fleet.promotion
    released.judge("newer")
    released.release(read)
    assert released.stale == "another promotion than the released one"


def test_a_rollback_stays_until_there_is_something_that_it_did_not_know(released: Released) -> None:
    first = released.release(released.fleet.promotion)
    second = released.release(released.judge("newer"))
    back = released.roll_back(first)
    assert released.stale is None
    assert back.sha256 not in (first.sha256, second.sha256)
    released.judge("newest")
    assert released.stale == "another promotion than the released one"


def test_the_same_verdicts_again_after_others_are_news(released: Released) -> None:
    """The verdicts before those that were passed over come back: later than both, and in neither."""
    first = released.release(released.fleet.promotion)
    middle = released.judge("middle")
    released.release(middle)
    released.release(released.judge("passed over"))
    released.roll_back(first)
    assert released.stale is None
    assert released.judge("middle").sha256 == middle.sha256
    assert released.stale == "another promotion than the released one"


def test_a_rollback_of_a_rollback_passes_over_what_is_newest_now(released: Released) -> None:
    first = released.release(released.fleet.promotion)
    newest = released.judge("newer")
    second = released.release(newest)
    back = released.roll_back(first)
    assert released.roll_back(second).sha256 == second.sha256  # it uses the newest: nothing is passed over
    assert released.stale is None
    again = released.roll_back(back)
    assert again.sha256 == back.sha256
    manifest = Release.from_bytes(released.fleet.store.read("release")[0])
    assert manifest.passed_over == {"promotion": newest.sha256}
    assert released.stale is None


def test_a_manifest_without_the_marker_is_read(released: Released) -> None:
    plain = json.loads(released.fleet.compose().to_bytes())
    del plain["passed_over"]
    assert Release.from_bytes(json.dumps(plain).encode()) == released.fleet.compose()


def test_a_version_that_nobody_certified_cannot_be_passed_over(released: Released) -> None:
    forged = dataclasses.replace(released.fleet.compose(), passed_over={"promotion": "f" * 64})
    assert not certified(released.fleet, forged)


def test_a_verdict_on_disk_that_was_damaged_is_asked_for_again(released: Released) -> None:
    """Its certificate is sound, so it is current; a tick that broke on its bytes would never mend it."""
    released.release(released.fleet.promotion)
    Path(released.fleet.store.location(released.fleet.promotion)).write_bytes(b"{}")
    assert released.stale == "the bytes of the last verdict are not those that were certified"


def test_a_rollback_from_verdicts_that_were_closed_by_hand_stays(released: Released) -> None:
    """Who finds the newest verdicts on variance wrong closes a gate of theirs and goes back."""
    fleet = released.fleet

    def judge(why: str) -> Certified[Promotion]:
        verdict = Verdict("A", 1, "REJECT", why, 0, None, None, None, None, 1.0, 1.0, 0)
        found = VARIANCE.promotion(VARIANCE.rule, [1], [verdict], [], None, [])
        return Certified(found, publish(fleet.store, "volatility_promotion", found.to_bytes()))

    def publish_release(variance: Certified[Promotion] | Refusal, to: str = "") -> Certificate:
        staged = inspect.unwrap(release.op.compute_fn.decorated_fn)(  # type: ignore[union-attr]
            ReleaseConfig(rollback_to=to),
            Certified(None, fleet.latency),
            Certified(None, fleet.options),
            fleet.store,
            **{
                DIRECTION.verdicts: Certified(fleet.verdicts, fleet.promotion),
                VARIANCE.verdicts: variance,
                RELATIVE.verdicts: Refusal(None, "never judged"),
            },
        )
        assert all(gate.run(staged.artifact, staged.evidence).passed for gate in RELEASE_GATES)
        inputs = {one.label: one.certificate.sha256 for one in staged.inputs}
        return publish(fleet.store, "release", staged.artifact.to_bytes(), inputs)

    first = publish_release(judge("first"))
    wrong = judge("wrong")
    publish_release(wrong)
    closed = Refusal(None, "closed by hand", wrong.certificate.sha256)
    back = publish_release(closed, to=first.sha256)
    assert back.inputs["volatility_promotion"] == first.inputs["volatility_promotion"]
    assert released.stale is None
    judge("mended")
    assert released.stale == "another volatility_promotion than the released one"
    publish_release(Refusal(None, "never judged"), to=first.sha256)
    assert released.stale is not None, "nobody has said what was refused"
