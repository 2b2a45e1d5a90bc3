"""ArtifactStore over time: clean-up, repair, strangers, readers beside writers."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from ml_assets.storage import ArtifactStore, NotCertified, atomic_write
from tests.unit.storage.make import FAILED, certificate, names_in


def test_strangers_in_the_store_are_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = ArtifactStore(tmp_path, keep_versions=1)
    store.publish(b"one", certificate(b"one"))
    (tmp_path / "weights" / "notes").mkdir()
    for name in ("README.txt", "0" * 63 + ".bin"):
        (tmp_path / "weights" / "AAPL" / "versions" / name).write_text("mine")
    store.publish(b"two", certificate(b"two"))
    assert store.partitions("weights") == ("AAPL",)
    assert "notes is not a folder of the store" in caplog.text
    assert len(names_in(tmp_path / "weights" / "AAPL" / "versions")) == 4


def test_unfinished_versions_do_not_pile_up(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path, keep_versions=2)
    store.publish(b"one", certificate(b"one"))
    versions = tmp_path / "weights" / "AAPL" / "versions"
    for n in range(5):  # what a crash between artifact and certificate leaves
        (versions / f"{n:064x}.bin").write_bytes(b"?")
    store.publish(b"two", certificate(b"two"))
    assert len(names_in(versions)) == 4
    assert len(store.versions("weights", "AAPL")) == 2


def test_object_store_keeps_what_another_publisher_may_be_writing() -> None:
    store = ArtifactStore(f"memory://{secrets.token_hex(4)}", keep_versions=1)
    store.publish(b"one", certificate(b"one"))
    assert isinstance(store.root, UPath)
    abandoned, fresh = (store.root / "weights" / "AAPL" / "versions" / f"{n:064x}.bin" for n in (1, 2))
    for path in (abandoned, fresh):
        path.write_bytes(b"?")
    file = abandoned.fs.store[abandoned.path]
    file.modified = file.created = file.modified - timedelta(days=2)
    store.publish(b"two", certificate(b"two"))
    assert fresh.exists()
    assert not abandoned.exists()
    assert [v.size for v in store.versions("weights", "AAPL")] == [3]


def test_a_failing_clean_up_does_not_fail_the_publication(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = ArtifactStore(tmp_path, keep_versions=1)
    store.publish(b"one", certificate(b"one"))

    def in_use(_: object) -> None:
        raise PermissionError("open in another program")

    monkeypatch.setattr("ml_assets.storage.publishing.remove", in_use)
    store.publish(b"two", certificate(b"two"))
    assert store.read("weights", "AAPL")[0] == b"two"
    assert "old files stay" in caplog.text


def test_an_unreadable_certificate_is_no_reason_to_remove_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that is away for a moment must not look like damage."""
    store = ArtifactStore(tmp_path, keep_versions=2)
    for data in (b"one", b"two"):
        store.publish(data, certificate(data))
    from ml_assets.storage import paths

    real: Callable[[object], bytes] = paths.read
    old = hashlib.sha256(b"two").hexdigest()

    def flaky(path: object) -> bytes:
        if f"{old}.certificate" in str(path):
            raise OSError("network is down")
        return real(path)

    monkeypatch.setattr("ml_assets.storage.reading.read", flaky)
    store.publish(b"three", certificate(b"three"))
    with pytest.raises(NotCertified) as caught:
        store.read("weights", "AAPL", old)
    assert caught.value.code == "unreadable"
    monkeypatch.undo()
    assert {v.size for v in store.versions("weights", "AAPL")} == {3, 5}
    assert store.read("weights", "AAPL", old)[0] == b"two"


def test_reader_follows_a_pointer_that_moves_while_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(tmp_path, keep_versions=1)
    store.publish(b"one", certificate(b"one"))
    from ml_assets.storage import reading

    real, publish = reading.read_certificate, iter([b"two", b"three"])

    def overtaken(slot: reading.Slot, sha256: str, shelf: reading.Shelf = "versions") -> reading.Certificate:
        for data in publish:
            monkeypatch.setattr(reading, "read_certificate", real)
            store.publish(data, certificate(data))
            monkeypatch.setattr(reading, "read_certificate", overtaken)
            break
        return real(slot, sha256, shelf)

    monkeypatch.setattr(reading, "read_certificate", overtaken)
    assert store.read("weights", "AAPL")[0] == b"three"


def test_reading_writes_nothing_and_takes_no_lock(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    one = store.publish(b"one", certificate(b"one"))
    before = sorted(tmp_path.rglob("*"))
    from ml_assets.storage import FileLock

    with FileLock(tmp_path / "weights" / "AAPL" / "publish.lock"):
        started = time.monotonic()
        assert store.read("weights", "AAPL") == (b"one", one)
        assert time.monotonic() - started < 1
    assert sorted(tmp_path.rglob("*")) == before


def test_keep_versions_must_keep_the_current_one() -> None:
    with pytest.raises(ValueError, match="at least the current"):
        ArtifactStore("memory://x", keep_versions=0)


def test_store_refuses_places_without_atomic_writes() -> None:
    with pytest.raises(ValueError, match="not atomic"):
        ArtifactStore("http://example.invalid/store")


def test_publications_are_logged(store: ArtifactStore, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ml_assets.storage"):
        store.publish(b"one", certificate(b"one"))
        store.quarantine(b"bad", certificate(b"bad", FAILED))
    assert "published weights[AAPL] version" in caplog.text
    assert "refused by ledger" in caplog.text


operations = st.lists(
    st.tuples(
        st.sampled_from(["publish", "quarantine", "damage"]), st.sampled_from([b"a", b"b", b"c", b"d"])
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(operations)
def test_any_history_reads_the_last_sound_publication_or_refuses(history: list[tuple[str, bytes]]) -> None:
    """Model: what was published last, unless its bytes were damaged or refused since."""
    store = ArtifactStore(f"memory://{secrets.token_hex(6)}", keep_versions=2)
    last: bytes | None = None
    spoiled: set[bytes] = set()
    for what, data in history:
        if what == "publish":
            store.publish(data, certificate(data))
            last, spoiled = data, spoiled - {data}
        elif what == "quarantine":
            store.quarantine(data, certificate(data, FAILED))
            spoiled.add(data)
        else:
            path = UPath(store.location(certificate(data)))
            if path.exists():
                path.write_bytes(b"damaged")
                spoiled.add(data)
        if last is None or last in spoiled:
            with pytest.raises(NotCertified):
                store.read("weights", "AAPL")
        else:
            assert store.read("weights", "AAPL")[0] == last
        assert len(store.versions("weights", "AAPL")) <= 2
        assert len(store.quarantined("weights", "AAPL")) <= 2


def test_crashes_that_repeat_do_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every publisher dies before it has removed the oldest version, again and again."""
    store = ArtifactStore(tmp_path, keep_versions=2)
    real = atomic_write

    def dies_at_the_alias(path: Path, data: bytes, *, durable: bool = True) -> None:
        if path.name == "alias":
            raise KeyboardInterrupt
        real(path, data, durable=durable)

    monkeypatch.setattr("ml_assets.storage.store.atomic_write", dies_at_the_alias)
    for n in range(6):
        with pytest.raises(KeyboardInterrupt):
            store.publish(bytes([n]), certificate(bytes([n])), alias="by_name/alias")
        assert store.read("weights", "AAPL")[0] == bytes([n])
        assert len(names_in(tmp_path / "weights" / "AAPL" / "versions")) <= 6


def test_pages_lie_under_reports_and_are_replaced(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    for page in (b"first", b"second"):
        assert store.save_page("AAPL/accuracy.png", page) == str(tmp_path / "reports/AAPL/accuracy.png")
        assert (tmp_path / "reports/AAPL/accuracy.png").read_bytes() == page


@pytest.mark.parametrize("path", ["../x.png", "/x.png", "", "a/../../x.png", "versions/x.png"])
def test_a_page_cannot_leave_its_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="must"):
        ArtifactStore(tmp_path).save_page(path, b"")
    assert list(tmp_path.rglob("*.png")) == []
