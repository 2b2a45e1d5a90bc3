"""The store on S3: a real server on loopback, the same code as in a folder."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from upath import UPath

from ml_assets.storage import ArtifactStore, NotCertified, atomic_write
from tests.unit.storage.make import FAILED, certificate


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def s3(endpoint: str) -> Iterator[Any]:
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1"
    )
    client.create_bucket(Bucket="models")
    try:
        yield client
        for found in client.list_objects_v2(Bucket="models").get("Contents", []):
            client.delete_object(Bucket="models", Key=found["Key"])
        client.delete_bucket(Bucket="models")
    finally:
        client.close()


@pytest.fixture
def root(endpoint: str, s3: Any) -> UPath:
    return UPath("s3://models/store", endpoint_url=endpoint, key="k", secret="s")


@pytest.fixture
def stranger(endpoint: str, s3: Any) -> UPath:
    """The same place as another process sees it: a connection with caches of its own."""
    return UPath("s3://models/store", endpoint_url=endpoint, key="k", secret="s", default_cache_type="bytes")


def test_publish_read_quarantine_and_bounds_on_s3(root: UPath) -> None:
    store = ArtifactStore(root, keep_versions=2)
    assert store.current("weights", "^GSPC") is None
    for n in range(4):
        store.publish(bytes([n]), certificate(bytes([n]), partition="^GSPC"), alias="models/GSPC.bin")
        store.quarantine(bytes([n, n]), certificate(bytes([n, n]), FAILED, partition="^GSPC"))
    data, one = store.read("weights", "^GSPC")
    assert data == b"\x03"
    assert store.current("weights", "^GSPC") == one
    assert [v.size for v in store.versions("weights", "^GSPC")] == [1, 1]
    assert [v.size for v in store.quarantined("weights", "^GSPC")] == [2, 2]
    assert store.partitions("weights") == ("^GSPC",)
    assert (root / "models" / "GSPC.bin").read_bytes() == b"\x03"


@pytest.mark.parametrize("damage", ["flipped", "truncated", "gone"])
def test_damage_on_s3_is_refused_and_repaired(root: UPath, stranger: UPath, damage: str) -> None:
    store = ArtifactStore(root)
    one = store.publish(b"weights", certificate(b"weights"))
    path = stranger / "weights" / "AAPL" / "versions" / f"{one.sha256}.bin"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"flipped": b"weighty", "truncated": b"weight"}[damage])
    with pytest.raises(NotCertified) as caught:
        store.read("weights", "AAPL")
    assert caught.value.code == ("missing_artifact" if damage == "gone" else "wrong_bytes")
    store.publish(b"weights", certificate(b"weights"))
    assert store.read("weights", "AAPL")[0] == b"weights"


def test_hand_edited_verdict_on_s3_is_refused(root: UPath, stranger: UPath) -> None:
    store = ArtifactStore(root)
    one = store.publish(b"x", certificate(b"x"))
    path = stranger / "weights" / "AAPL" / "versions" / f"{one.sha256}.certificate.json"
    path.write_text(path.read_text().replace("1,200 rows", "9,999 rows"))
    with pytest.raises(NotCertified, match="seal does not match"):
        store.read("weights", "AAPL")


def test_stale_listings_do_not_matter(root: UPath, stranger: UPath) -> None:
    ours, theirs = ArtifactStore(root, keep_versions=2), ArtifactStore(stranger, keep_versions=2)
    seen = []
    for n in range(4):
        # Fill every cache that s3fs has with what will be stale in a moment.
        for folder in ("weights/AAPL/versions", "weights/AAPL", "weights", ""):
            root.fs.invalidate_cache(f"models/store/{folder}")
            try:
                root.fs.ls(f"models/store/{folder}", detail=True)
            except FileNotFoundError:
                continue
        one = theirs.publish(b"x" * (n + 1), certificate(b"x" * (n + 1)))
        if n % 2:  # a read drops the caches too, so each goes first once
            assert ours.read("weights", "AAPL") == (b"x" * (n + 1), one)
        seen.append([v.size for v in ours.versions("weights", "AAPL")])
        assert ours.read("weights", "AAPL") == (b"x" * (n + 1), one)
    assert seen == [[1], [2, 1], [3, 2], [4, 3]]


def test_the_pointer_is_one_put(root: UPath, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str]] = []
    real = type(root.fs)._call_s3

    async def spy(self: object, method: str, *args: Any, **kwargs: Any) -> Any:
        calls.append((method, str(kwargs.get("Key", ""))))
        return await real(self, method, *args, **kwargs)

    store = ArtifactStore(root)
    monkeypatch.setattr(type(root.fs), "_call_s3", spy)
    one = store.publish(b"x", certificate(b"x"))
    writes = [(m, key.rsplit("/", 1)[-1]) for m, key in calls if not m.startswith(("get_", "head_", "list_"))]
    assert writes == [
        ("put_object", f"{one.sha256}.bin"),
        ("put_object", f"{one.sha256}.certificate.json"),
        ("put_object", "current.json"),
    ]
    body = s3.get_object(Bucket="models", Key="store/weights/AAPL/current.json")["Body"].read()
    assert json.loads(body)["sha256"] == one.sha256


def test_readers_on_s3_never_see_a_torn_state(root: UPath, stranger: UPath) -> None:
    writer, reader = ArtifactStore(stranger, keep_versions=1), ArtifactStore(root)
    writer.publish(b"0", certificate(b"0"))
    done, errors = threading.Event(), []

    def write() -> None:
        try:
            for n in range(8):
                writer.publish(str(n).encode() * 100, certificate(str(n).encode() * 100))
        except BaseException as error:  # noqa: BLE001 - reported by the test
            errors.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=write)
    thread.start()
    sizes = set()
    while not done.is_set():
        sizes.add(len(reader.read("weights", "AAPL")[0]))
    thread.join()
    assert not errors
    assert len(sizes) > 1


def test_two_publishers_on_s3_leave_one_of_the_two(root: UPath, stranger: UPath) -> None:
    barrier, errors = threading.Barrier(2), []

    def publish(place: UPath, name: bytes) -> None:
        barrier.wait()
        try:
            for n in range(5):
                data = name * (n + 1)
                ArtifactStore(place, keep_versions=2).publish(data, certificate(data))
        except BaseException as error:  # noqa: BLE001 - reported by the test
            errors.append(error)

    threads = [threading.Thread(target=publish, args=a) for a in ((root, b"a"), (stranger, b"b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    data, one = ArtifactStore(root).read("weights", "AAPL")
    assert data in (b"a" * 5, b"b" * 5)
    assert one.size == 5


def test_a_bucket_that_is_not_there_is_refused_by_name(endpoint: str, s3: Any) -> None:
    store = ArtifactStore(UPath("s3://no-such-bucket/store", endpoint_url=endpoint, key="k", secret="s"))
    with pytest.raises(NotCertified):
        store.read("weights", "AAPL")
    with pytest.raises(OSError):  # s3fs words it
        store.publish(b"x", certificate(b"x"))


def test_atomic_write_puts_an_object(root: UPath, s3: Any) -> None:
    atomic_write(root / "reports" / "r.json", '{"ok": true}')
    assert s3.get_object(Bucket="models", Key="store/reports/r.json")["Body"].read() == b'{"ok": true}'
