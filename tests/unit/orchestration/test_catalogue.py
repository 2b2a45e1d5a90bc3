"""The tables of gates and settings in README and docs are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestration.catalogue import pages, render
from orchestration.definitions import ASSETS
from orchestration.pipelines import JOBS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("path", pages(ROOT), ids=lambda path: path.name)
def test_page_is_current(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert page == render(page), "run: make tables"


@pytest.mark.parametrize("path", [*pages(ROOT), ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_files_that_a_page_names_exist(path: Path) -> None:
    named = re.findall(
        r"`((?:ml_assets|orchestration|tests|benchmarks)/[\w./]+)", path.read_text(encoding="utf-8")
    )
    assert [name for name in named if not (ROOT / name.rstrip(".")).exists()] == []


def test_a_stale_table_is_renewed_and_the_rest_left_alone() -> None:
    page = "before\n<!-- made: gates release -->\n| old |\n<!-- end -->\nafter\n"
    renewed = render(page)
    assert "| `release` | `only_promoted` | " in renewed
    assert "old" not in renewed
    assert (renewed[:7], renewed[-6:]) == ("before\n", "after\n")
    assert render(renewed) == renewed


@pytest.mark.parametrize("head", ["gates no_such_asset", "no_such_kind"])
def test_what_does_not_exist_is_refused(head: str) -> None:
    with pytest.raises(KeyError):
        render(f"<!-- made: {head} -->\n<!-- end -->")


def test_jobs_are_made_of_every_asset_and_of_nothing_else() -> None:
    names = {asset.key.to_user_string() for asset in ASSETS}
    assert {asset for assets in JOBS.values() for asset in assets} == names
