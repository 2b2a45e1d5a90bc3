"""The code version: the same for the same sources, another for any change in them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.version import code_version

ROOT = Path(__file__).parents[3]


def version_at(root: Path) -> str:
    code = f"import sys; sys.path.insert(0, {str(root)!r}); from orchestration import version; "
    code += f"assert version.__file__.startswith({str(root)!r}); print(version.code_version())"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in ("ml_assets", "orchestration"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignore)
    return tmp_path


def test_follows_the_content_and_not_the_place(copy: Path) -> None:
    before = version_at(copy)
    release, _, digest = code_version().partition("+")
    assert release
    assert len(digest) == 12
    assert before == version_at(copy)
    changed = copy / "ml_assets" / "prices" / "cleaning_log.py"
    text = changed.read_text()
    changed.write_text(text + "\n# one more line\n")
    assert version_at(copy) != before
    changed.write_text(text)
    assert version_at(copy) == before
    changed.rename(changed.with_name("renamed.py"))
    assert version_at(copy) != before
    (copy / "orchestration" / "notes.txt").write_text("no source")
    changed.with_name("renamed.py").rename(changed)
    assert version_at(copy) == before
