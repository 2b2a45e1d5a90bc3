"""Files that survive crashes and crowds, and artifacts that nobody reads before their gates have passed."""

from ml_assets.storage._process import ProcessId
from ml_assets.storage.atomic import DiskFullError, atomic_write, remove_stale_temps, safe_makedirs
from ml_assets.storage.certificate import Certificate, GateVerdict, certify
from ml_assets.storage.errors import NotCertified, StoreError
from ml_assets.storage.lineage import follow_input, input_key, read_certified, read_input
from ml_assets.storage.locking import FileLock, Holder, LockTimeout
from ml_assets.storage.retry import RetryError, backoff, retry, retrying
from ml_assets.storage.store import ArtifactStore

__all__ = [
    "ArtifactStore",
    "Certificate",
    "DiskFullError",
    "FileLock",
    "GateVerdict",
    "Holder",
    "LockTimeout",
    "NotCertified",
    "ProcessId",
    "RetryError",
    "StoreError",
    "atomic_write",
    "backoff",
    "certify",
    "follow_input",
    "input_key",
    "read_certified",
    "read_input",
    "remove_stale_temps",
    "retry",
    "retrying",
    "safe_makedirs",
]
