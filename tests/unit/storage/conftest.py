"""A store in a folder and one in memory."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from upath import UPath

from ml_assets.storage import ArtifactStore


@pytest.fixture(params=["folder", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> UPath:
    return (
        UPath(tmp_path / "store")
        if request.param == "folder"
        else UPath(f"memory://{secrets.token_hex(4)}/store")
    )


@pytest.fixture
def store(root: UPath) -> ArtifactStore:
    return ArtifactStore(root, keep_versions=3)
