"""The guide's claims are backed by tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_test_named_in_the_guide_exists() -> None:
    guide = (ROOT / "docs" / "FILE_LOCKING_STRATEGY.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", guide))
    files = [*(ROOT / "tests/unit/storage").glob("test_*.py"), *(ROOT / "tests/faults").glob("test_*.py")]
    defined = {
        name
        for file in files
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M)
    }
    assert len(named) > 40
    assert not named - defined
