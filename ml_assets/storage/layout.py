"""Where each thing of an asset lies in the store."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from ml_assets.storage.paths import Place
from ml_assets.storage.symbols import slug, unslug

__all__ = ["CERTIFICATE", "UNPARTITIONED", "Shelf", "Slot", "alias_place", "by_version", "partition_of"]

Shelf = Literal["versions", "quarantine"]
"""The two folders of a slot: what has passed, and what was refused."""

UNPARTITIONED = "@all"
"""Folder of an asset without partitions; no slug holds an '@'."""

CERTIFICATE = ".certificate.json"
_FILE = re.compile(r"([0-9a-f]{64})(\..+)")
_OURS = {"versions", "quarantine", "current.json", "pinned.json"}


@dataclass(frozen=True)
class Slot:
    """The place of one asset and partition.

    Parameters
    ----------
    root : Path or UPath
        The store.
    asset : str
        Asset; letters, digits and underscores.
    partition : str or None
        Partition, None for an asset without.
    """

    root: Place
    asset: str
    partition: str | None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_]{1,100}", self.asset):
            raise ValueError(f"the name of an asset is letters, digits and underscores, not {self.asset!r}")

    @property
    def folder(self) -> Place:
        """Folder of the slot."""
        return self.root / self.asset / (UNPARTITIONED if self.partition is None else slug(self.partition))

    @property
    def pointer(self) -> Place:
        """File that names the current version."""
        return self.folder / "current.json"

    @property
    def pins(self) -> Place:
        """File that names the versions which are never pruned."""
        return self.folder / "pinned.json"

    @property
    def lock(self) -> Place:
        """File that publishers lock, on a folder."""
        return self.folder / "publish.lock"

    def artifact(self, sha256: str, extension: str, shelf: Shelf = "versions") -> Place:
        """File of a version's bytes."""
        return self.folder / shelf / f"{sha256}{extension}"

    def certificate(self, sha256: str, shelf: Shelf = "versions") -> Place:
        """File of a version's certificate."""
        return self.folder / shelf / f"{sha256}{CERTIFICATE}"

    def pointer_text(self, sha256: str) -> str:
        """Content of the pointer; it says whose it is, so a copied one is found out."""
        content = {"format": 1, "asset": self.asset, "partition": self.partition, "sha256": sha256}
        return json.dumps(content) + "\n"

    def parse_pointer(self, text: bytes) -> str:
        """Version that a pointer names.

        Raises
        ------
        ValueError
            If it is anything but what :meth:`pointer_text` writes for this slot.
        """
        found = json.loads(text)
        sha256 = found.get("sha256") if isinstance(found, dict) else None
        if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise ValueError("it names no version")
        if found != json.loads(self.pointer_text(sha256)):
            raise ValueError(f"it belongs to {found.get('asset')!r}, partition {found.get('partition')!r}")
        return sha256


def by_version(names: list[str]) -> dict[str, list[str]]:
    """Group the file names of a shelf by version; names that are none of ours are left out."""
    found: dict[str, list[str]] = {}
    for name in names:
        match = _FILE.fullmatch(name)
        if match:
            found.setdefault(match[1], []).append(name)
    return found


def partition_of(folder: str) -> str | None:
    """Partition whose folder this is; None for the folder of an asset without partitions.

    Raises
    ------
    ValueError
        If no partition has such a folder.
    """
    return None if folder == UNPARTITIONED else unslug(folder)


def alias_place(root: Place, asset: str, alias: str) -> Place:
    """Where the copy of the current version for people and tools lies.

    Raises
    ------
    ValueError
        If the alias leaves the store or could fall among the store's own files.
    """
    parts = alias.split("/")
    if not all(re.fullmatch(r"[^\\:*?\"<>|\x00-\x1f]+", part) and part.strip(". ") for part in parts):
        raise ValueError(f"alias {alias!r} must be a plain relative path such as 'weights/AAPL.weights.h5'")
    if len(parts) < 2 or parts[0] == asset or _OURS.intersection(parts):
        raise ValueError(
            f"alias {alias!r} must lie in a folder of its own, not in that of an asset, "
            "for instance 'weights/AAPL.weights.h5'"
        )
    return root.joinpath(*parts)
