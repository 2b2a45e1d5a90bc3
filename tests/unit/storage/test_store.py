"""ArtifactStore: the same behaviour in a folder and in an object store."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from ml_assets.storage import ArtifactStore, NotCertified, StoreError, read_certified
from ml_assets.storage.layout import UNPARTITIONED, alias_place
from ml_assets.storage.symbols import slug, unslug
from tests.unit.storage.make import FAILED, PASSED, certificate


def test_publish_then_read_gives_the_same_bytes_and_certificate(store: ArtifactStore, root: UPath) -> None:
    one = certificate(b"one")
    assert store.publish(b"one", one) == one
    assert store.read("weights", "AAPL") == (b"one", one)
    assert store.read("weights", "AAPL", one.sha256) == (b"one", one)
    assert read_certified(str(root), "weights", "AAPL", one.sha256) == (b"one", one)
    assert store.current("weights", "AAPL") == one
    assert store.versions("weights", "AAPL") == (one,)
    assert UPath(store.location(one), **root.storage_options).name == f"{one.sha256}.bin"


def test_nothing_published_is_said_so(store: ArtifactStore) -> None:
    assert store.current("weights", "AAPL") is None
    assert (
        store.versions("weights", "AAPL")
        == store.quarantined("weights", "AAPL")
        == store.partitions("weights")
        == ()
    )
    with pytest.raises(NotCertified, match="Materialize the asset first") as caught:
        store.read("weights", "AAPL")
    assert (caught.value.code, caught.value.asset, caught.value.partition) == (
        "no_version",
        "weights",
        "AAPL",
    )


def test_publish_refuses_without_gates_and_with_a_failed_one(store: ArtifactStore) -> None:
    store.publish(b"good", certificate(b"good"))
    with pytest.raises(NotCertified, match="gate 'ledger' refused it: AAPL 2020-01-02"):
        store.publish(b"bad", certificate(b"bad", PASSED, FAILED))
    with pytest.raises(NotCertified, match="no gate looked at it"):
        store.publish(b"bad", replace(certificate(b"bad"), gates=()))
    assert store.read("weights", "AAPL")[0] == b"good"


def test_publish_and_quarantine_refuse_other_bytes_than_certified(store: ArtifactStore) -> None:
    for call, one in ((store.publish, certificate(b"one")), (store.quarantine, certificate(b"one", FAILED))):
        with pytest.raises(NotCertified, match=r"certify\(\)") as caught:
            call(b"two", one)
        assert caught.value.code == "wrong_bytes"
    with pytest.raises(NotCertified):
        store.publish(b"one", replace(certificate(b"one"), size=2))
    assert store.current("weights", "AAPL") is None


def test_versions_are_kept_newest_first_and_bounded(store: ArtifactStore) -> None:
    made = [store.publish(bytes([n]), certificate(bytes([n]))) for n in range(6)]
    assert store.versions("weights", "AAPL") == tuple(reversed(made[-3:]))
    assert store.read("weights", "AAPL", made[3].sha256)[0] == b"\x03"
    with pytest.raises(NotCertified, match="removed when newer ones came") as caught:
        store.read("weights", "AAPL", made[0].sha256)
    assert (caught.value.code, caught.value.sha256) == ("missing_certificate", made[0].sha256)


def test_the_current_version_is_never_removed_however_old(store: ArtifactStore) -> None:
    for n in range(3):
        store.publish(bytes([n]), certificate(bytes([n])))
    past = certificate(b"past")
    past = replace(past, created_at=(past.created - timedelta(days=9)).isoformat())
    store.publish(b"past", past)
    assert store.read("weights", "AAPL") == (b"past", past)
    assert len(store.versions("weights", "AAPL")) == 3


def test_going_back_to_an_older_version_is_a_publication(store: ArtifactStore) -> None:
    for data in (b"a", b"b", b"a"):
        store.publish(data, certificate(data))
    assert store.read("weights", "AAPL")[0] == b"a"
    assert [v.sha256 for v in store.versions("weights", "AAPL")] == [
        hashlib.sha256(d).hexdigest() for d in (b"a", b"b")
    ]


def test_publishing_again_repairs_a_damaged_file(store: ArtifactStore) -> None:
    one = store.publish(b"one", certificate(b"one"))
    UPath(
        store.location(one), **store.root.storage_options if isinstance(store.root, UPath) else {}
    ).write_bytes(b"0ne")
    with pytest.raises(NotCertified, match="damaged or overwritten"):
        store.read("weights", "AAPL")
    again = store.publish(b"one", certificate(b"one"))
    assert store.read("weights", "AAPL") == (b"one", again)


def test_a_sound_published_file_is_never_rewritten(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    one = store.publish(b"one", certificate(b"one"))
    before = Path(store.location(one)).stat()
    store.publish(b"one", certificate(b"one"))
    after = Path(store.location(one)).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_quarantine_keeps_the_refused_candidate_and_the_good_version_current(store: ArtifactStore) -> None:
    good, bad = certificate(b"good"), certificate(b"bad", PASSED, FAILED)
    store.publish(b"good", good)
    path = store.quarantine(b"bad", bad)
    assert path.endswith(f"/quarantine/{bad.sha256}.bin")
    assert path == store.location(bad)
    assert store.quarantined("weights", "AAPL") == (bad,)
    assert [v.gate for v in store.quarantined("weights", "AAPL")[0].failed_gates] == ["ledger"]
    assert store.read("weights", "AAPL") == (b"good", good)
    with pytest.raises(NotCertified):
        store.read("weights", "AAPL", bad.sha256)
    with pytest.raises(StoreError, match=r"use publish\(\)"):
        store.quarantine(b"good", good)


def test_quarantine_is_bounded_to_the_newest(store: ArtifactStore) -> None:
    for n in range(6):
        store.quarantine(bytes([n]), certificate(bytes([n]), FAILED))
    kept = [c.sha256 for c in store.quarantined("weights", "AAPL")]
    assert kept == [hashlib.sha256(bytes([n])).hexdigest() for n in (5, 4, 3)]


def test_a_version_that_a_gate_refuses_later_is_taken_back(store: ArtifactStore) -> None:
    store.publish(b"old", certificate(b"old"))
    store.publish(b"x", certificate(b"x"))
    store.quarantine(
        b"x", replace(certificate(b"x"), gates=())
    )  # nobody looked: no verdict, nothing taken back
    assert store.read("weights", "AAPL")[0] == b"x"
    store.quarantine(b"x", certificate(b"x", PASSED, FAILED))
    for call in (store.read, store.current):
        with pytest.raises(NotCertified, match="gate 'ledger' refused it") as caught:
            call("weights", "AAPL")
        assert caught.value.code == "gate_failed"
    assert [v.sha256 for v in store.versions("weights", "AAPL")] == [hashlib.sha256(b"old").hexdigest()]
    store.publish(b"x", certificate(b"x"))
    assert store.read("weights", "AAPL")[0] == b"x"


def test_alias_is_a_copy_of_the_current_version(store: ArtifactStore) -> None:
    alias = "weights_by_name/AAPL.weights.h5"
    copy = store.root.joinpath(*alias.split("/"))
    for data in (b"one", b"two", b"one"):
        store.publish(data, certificate(data), alias=alias)
        assert copy.read_bytes() == data
    copy.unlink()
    store.publish(b"one", certificate(b"one"), alias=alias)
    assert copy.read_bytes() == b"one"


@pytest.mark.parametrize(
    "alias",
    ["", "x", "/etc/x", "../x/y", "a/../../x", "weights/x", "other/AAPL/versions/x", "o/current.json", "a//b",
     "a\\b/c", "c:/x", "a/.", " /x", "a/x\x00"],
)  # fmt: skip
def test_alias_cannot_leave_the_store_or_hit_its_own_files(store: ArtifactStore, alias: str) -> None:
    with pytest.raises(ValueError, match="alias"):
        store.publish(b"one", certificate(b"one"), alias=alias)
    assert store.current("weights", "AAPL") is None


def test_alias_of_the_design_is_allowed(tmp_path: Path) -> None:
    assert (
        alias_place(tmp_path, "mamba_weights", "weights/BRK.B.weights.h5")
        == tmp_path / "weights/BRK.B.weights.h5"
    )
    assert alias_place(
        tmp_path, "pinn_weights", "models/pinn/option_pricing/option_pricing.npz"
    ).name.endswith("npz")


HARD_NAMES = ["AAPL", "aapl", "BRK.B", "../x", "^GSPC", "CON", "@all", "Ünï", "a/b", ".", "versions"]


def test_partitions_do_not_meet_however_they_are_named(store: ArtifactStore) -> None:
    for name in (None, *HARD_NAMES):
        data = repr(name).encode()
        store.publish(data, certificate(data, partition=name))
    for name in (None, *HARD_NAMES):
        assert store.read("weights", name)[0] == repr(name).encode()
    assert store.partitions("weights") == tuple(sorted(HARD_NAMES))
    assert store.partitions("other") == ()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_no_slug_is_the_folder_of_unpartitioned_assets(name: str) -> None:
    assert slug(name).upper() != UNPARTITIONED.upper()


def test_unpartitioned_is_no_slug() -> None:
    with pytest.raises(ValueError, match="not the slug"):
        unslug(UNPARTITIONED)


@pytest.mark.parametrize("asset", ["", "..", "a/b", "a b", "a\n"])
def test_asset_names_are_plain(store: ArtifactStore, asset: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        store.read(asset)


@pytest.mark.parametrize("version", ["", "abc", "../" + "0" * 61, "G" * 64, "0" * 64 + "\n"])
def test_versions_asked_for_are_hashes(store: ArtifactStore, version: str) -> None:
    with pytest.raises(NotCertified) as caught:
        store.read("weights", "AAPL", version)
    assert caught.value.code == "no_version"
