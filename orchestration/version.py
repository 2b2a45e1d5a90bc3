"""The version of the code that made a result."""

from __future__ import annotations

import functools
import hashlib
from importlib.metadata import version
from pathlib import Path

import ml_assets

__all__ = ["code_version"]


@functools.cache
def code_version() -> str:
    """Return the release and a hash over every source file of both packages.

    The hash, unlike a commit name, is right for uncommitted work and where there is no git.
    """
    digest = hashlib.sha256()
    for root in (Path(ml_assets.__file__).parent, Path(__file__).parent):
        for path in sorted(root.rglob("*.py")):
            digest.update(path.relative_to(root.parent).as_posix().encode())
            digest.update(path.read_bytes())
    return f"{version('gated-mamba')}+{digest.hexdigest()[:12]}"
