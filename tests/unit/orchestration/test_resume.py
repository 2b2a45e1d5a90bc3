"""What a stopped run has left is kept if it would come out the same, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ml_assets.prices import PriceHistory
from ml_assets.prices.simulated import simulate
from orchestration.fleet import resume
from orchestration.fleet.resume import Kept, unfinished
from orchestration.fleet.run import Graph
from orchestration.settings import Settings
from tests.integration.project import Market, Project, open_project

START = datetime(2020, 1, 1, tzinfo=UTC)
ASSETS = ("raw_prices", "split_sequences", "augmented_training_set")


def history(seed: int) -> PriceHistory:
    return simulate("random_walk", 500, seed=seed, symbol="AAA").prices


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("stopped")
    with open_project(root, Market({"AAA": history(1)}), minimum_rows=250, test_days=60) as opened:
        outcome = opened.run_symbol("AAA", *ASSETS[:2])  # and then it was stopped
        assert outcome.success, outcome.reason
        yield opened


def kept(project: Project, since: datetime | None = START, **settings: Any) -> tuple[int, tuple[str, ...]]:
    """Number of gates that are kept, and which assets are to be made."""
    changed = Project(
        project.root, project.instance, project.settings.model_copy(update=settings), project.overrides
    )
    defs = changed.defs
    outcome, assets = Kept(Graph(lambda: defs), project.instance, since).split(
        "symbol_pipeline", "AAA", ASSETS
    )
    return (0 if outcome is None else outcome.gates_passed), assets


def test_the_beginning_is_kept_and_the_rest_is_made(project: Project) -> None:
    assert kept(project) == (9, ASSETS[2:])
    assert kept(project, workers=1, symbols="AAA") == (9, ASSETS[2:])  # nothing that shapes a result


@pytest.mark.parametrize("since", [None, datetime(2999, 1, 1, tzinfo=UTC)])
def test_nothing_is_kept_of_a_run_that_was_not_stopped(project: Project, since: datetime | None) -> None:
    assert kept(project, since) == (0, ASSETS)


def test_nothing_is_kept_under_other_settings_or_code(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept(project, epochs=3) == (0, ASSETS)
    monkeypatch.setattr(resume, "code_version", lambda: "another")
    assert kept(project) == (0, ASSETS)


def test_nothing_is_kept_when_the_prices_are_others(project: Project) -> None:
    assert kept(project.with_overrides(source=Market({"AAA": history(2)}))) == (0, ASSETS)
    assert kept(project.with_overrides(source=Market({}))) == (0, ASSETS)


def test_what_was_made_of_an_older_version_is_made_again(tmp_path: Path) -> None:
    with open_project(tmp_path, Market({"AAA": history(1)}), minimum_rows=250, test_days=60) as project:
        assert project.run_symbol("AAA", *ASSETS[:2]).success
        later = project.with_overrides(source=Market({"AAA": history(2)}))
        assert later.run_symbol("AAA", "raw_prices").success
        assert kept(later) == (4, ASSETS[1:])


def test_a_run_is_unfinished_until_it_ends(tmp_path: Path) -> None:
    settings, told = Settings(home=tmp_path), list[str]()

    def stop(since: datetime | None, error: type[BaseException] | None, **options: bool) -> datetime | None:
        with unfinished(settings, "run", told.append, **options) as found:
            assert (found is None) == (since is None)
            if error is not None:
                raise error
        return found

    begun = datetime.now(UTC)
    _raises(KeyboardInterrupt, lambda: stop(None, KeyboardInterrupt))
    assert told == []
    _raises(OSError, lambda: stop(begun, OSError))  # goes on, and is stopped once more
    (line,) = told
    assert "which was stopped" in line
    with unfinished(settings, "volatility", told.append) as other:
        assert other is None  # another kind of run
    assert stop(None, None, anew=True) is None
    assert stop(None, None) is None  # the last one came to its end
    (tmp_path / "unfinished" / "run.json").write_text("{torn")
    assert stop(None, None) is None


def _raises(error: type[BaseException], call: Callable[[], object]) -> None:
    with pytest.raises(error):
        call()
