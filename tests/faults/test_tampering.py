"""Files of the store changed behind its back: every change is refused, by name."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_assets.storage import ArtifactStore, NotCertified, read_certified
from tests.unit.storage.make import FAILED, certificate

DATA = bytes(range(256)) * 40


class Shop:
    """A store with a current and an older version, another partition and asset, and a refused candidate."""

    def __init__(self, root: Path) -> None:
        self.root, self.store = root, ArtifactStore(root)
        self.old = self.store.publish(b"old", certificate(b"old"))
        self.now = self.store.publish(DATA, certificate(DATA))
        self.other = self.store.publish(DATA, certificate(DATA, partition="MSFT"))
        self.asset = self.store.publish(DATA, certificate(DATA, asset="other"))
        self.bad = certificate(b"bad", FAILED)
        self.store.quarantine(b"bad", self.bad)
        self.folder = root / "weights" / "AAPL"
        self.artifact = self.folder / "versions" / f"{self.now.sha256}.bin"
        self.certificate = self.folder / "versions" / f"{self.now.sha256}.certificate.json"
        self.pointer = self.folder / "current.json"

    def edit(self, path: Path, **change: object) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


def _flip(shop: Shop) -> None:
    data = bytearray(shop.artifact.read_bytes())
    at = random.randrange(len(data))
    data[at] ^= 1 << random.randrange(8)
    shop.artifact.write_bytes(data)


def _truncate(shop: Shop) -> None:
    os.truncate(shop.artifact, random.randrange(len(DATA)))


def _publish_by_hand(shop: Shop) -> None:
    """Move the refused candidate into the versions and point to it."""
    for file in (shop.folder / "quarantine").iterdir():
        shutil.copy(file, shop.folder / "versions" / file.name)
    shop.edit(shop.pointer, sha256=shop.bad.sha256)


def _forge(shop: Shop) -> None:
    """As above, and the verdict corrected by hand."""
    _publish_by_hand(shop)
    path = shop.folder / "versions" / f"{shop.bad.sha256}.certificate.json"
    path.write_text(path.read_text().replace('"passed": false', '"passed": true'))


def _swap(shop: Shop) -> None:
    shutil.copy(shop.folder / "versions" / f"{shop.old.sha256}.certificate.json", shop.certificate)


def _from(other: str) -> Callable[[Shop], None]:
    def change(shop: Shop) -> None:
        shutil.copy(shop.root / other / "versions" / shop.certificate.name, shop.certificate)

    return change


def _point_as(other: str) -> Callable[[Shop], object]:
    return lambda shop: shutil.copy(shop.root / other / "current.json", shop.pointer)


def _folder_instead(shop: Shop) -> None:
    shop.artifact.unlink()
    shop.artifact.mkdir()


def _as_text(name: str, content: str | bytes) -> Callable[[Shop], None]:
    def change(shop: Shop) -> None:
        content_bytes = content if isinstance(content, bytes) else content.encode()
        getattr(shop, name).write_bytes(content_bytes)

    return change


CHANGES: list[tuple[str, Callable[[Shop], object], str]] = [
    ("one bit flipped", _flip, "wrong_bytes"),
    ("truncated", _truncate, "wrong_bytes"),
    ("emptied", _as_text("artifact", b""), "wrong_bytes"),
    ("bytes appended", _as_text("artifact", DATA + b"\0"), "wrong_bytes"),
    ("artifact removed", lambda s: s.artifact.unlink(), "missing_artifact"),
    ("a folder in its place", _folder_instead, "unreadable"),
    ("certificate removed", lambda s: s.certificate.unlink(), "missing_certificate"),
    ("certificate of another version", _swap, "wrong_certificate"),
    ("certificate of another partition", _from("weights/MSFT"), "wrong_certificate"),
    ("certificate of another asset", _from("other/AAPL"), "wrong_certificate"),
    ("certificate emptied", _as_text("certificate", ""), "bad_certificate"),
    ("certificate cut", lambda s: os.truncate(s.certificate, 200), "bad_certificate"),
    ("certificate of no text", _as_text("certificate", b"\xff\xfe\x00"), "bad_certificate"),
    ("certificate nested deeply", _as_text("certificate", "[" * 100_000), "bad_certificate"),
    ("certificate edited", lambda s: s.edit(s.certificate, code_version="2"), "bad_certificate"),
    ("certificate without gates", lambda s: s.edit(s.certificate, gates=[]), "bad_certificate"),
    ("unknown field", lambda s: s.edit(s.certificate, approved_by="me"), "bad_certificate"),
    ("future format", lambda s: s.edit(s.certificate, format=3), "bad_certificate"),
    ("refused candidate moved over", _publish_by_hand, "gate_failed"),
    ("refused candidate with its verdict edited", _forge, "bad_certificate"),
    ("pointer emptied", _as_text("pointer", ""), "bad_pointer"),
    ("pointer cut", lambda s: os.truncate(s.pointer, 40), "bad_pointer"),
    ("pointer nested deeply", _as_text("pointer", "[" * 100_000), "bad_pointer"),
    ("pointer to nowhere", lambda s: s.edit(s.pointer, sha256="0" * 64), "missing_certificate"),
    ("pointer up", lambda s: s.edit(s.pointer, sha256="../../x"), "bad_pointer"),
    ("pointer of another partition", _point_as("weights/MSFT"), "bad_pointer"),
    ("pointer of another asset", _point_as("other/AAPL"), "bad_pointer"),
    ("pointer removed", lambda s: s.pointer.unlink(), "no_version"),
    ("everything removed", lambda s: shutil.rmtree(s.folder), "no_version"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_change_behind_the_stores_back_is_refused_by_name(
    tmp_path: Path, change: Callable[[Shop], object], code: str
) -> None:
    shop = Shop(tmp_path)
    change(shop)
    with pytest.raises(NotCertified) as caught:
        read_certified(tmp_path, "weights", "AAPL")
    error = caught.value
    assert error.code == code
    assert (error.asset, error.partition) == ("weights", "AAPL")
    assert "weights[AAPL]" in str(error)
    assert error.reason
    assert "again" in error.remedy or "first" in error.remedy
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), vars(again)) == (str(error), vars(error))
    # Nothing else is touched by it, and a new publication mends all of it.
    assert shop.store.read("weights", "MSFT")[0] == DATA
    if code != "unreadable":
        shop.store.publish(DATA, certificate(DATA))
        assert shop.store.read("weights", "AAPL")[0] == DATA


def test_older_versions_stay_readable_when_the_current_one_is_damaged(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    _flip(shop)
    assert shop.store.read("weights", "AAPL", shop.old.sha256)[0] == b"old"


def test_any_single_changed_byte_of_a_small_artifact_is_refused(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    path = Path(shop.store.location(shop.old))
    for at in range(3):
        for value in range(256):
            data = bytearray(b"old")
            data[at] = value
            path.write_bytes(data)
            if bytes(data) == b"old":
                continue
            with pytest.raises(NotCertified):
                shop.store.read("weights", "AAPL", shop.old.sha256)


def test_file_that_cannot_be_read_is_refused_not_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path)
    real = Path.read_bytes

    def broken_disk(path: Path) -> bytes:
        if path == shop.artifact:
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", broken_disk)
    with pytest.raises(NotCertified, match="Check the disk") as caught:
        shop.store.read("weights", "AAPL")
    assert caught.value.code == "unreadable"


def test_what_is_hashed_is_what_is_returned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes right after it was read cannot slip in: it is read once."""
    shop, reads = Shop(tmp_path), []
    real = Path.read_bytes

    def changes_after(path: Path) -> bytes:
        data = real(path)
        if path == shop.artifact:
            reads.append(1)
            path.write_bytes(b"other")
        return data

    monkeypatch.setattr(Path, "read_bytes", changes_after)
    data, one = shop.store.read("weights", "AAPL")
    assert hashlib.sha256(data).hexdigest() == one.sha256
    assert len(reads) == 1
