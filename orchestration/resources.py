"""What the assets are given: settings, store, price source, pipeline steps."""

from __future__ import annotations

from functools import cached_property

from ml_assets.prices import PriceHistory, PriceSource, Problem, open_source
from ml_assets.storage import ArtifactStore
from orchestration.settings import Settings

__all__ = ["LazySource", "open_store"]


class LazySource:
    """A price source that is opened at its first use: loading the definitions must not read a folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _source(self) -> PriceSource:
        # The source itself notices new and changed files at every question.
        return open_source(self._settings.prices, hints=self._settings.layout_hints)

    def symbols(self) -> list[str]:
        """Symbols on offer."""
        return self._source.symbols()

    def load(self, symbol: str) -> PriceHistory:
        """Load one symbol."""
        return self._source.load(symbol)

    def problems(self) -> list[Problem]:
        """Files and symbols that were refused."""
        return self._source.problems()


def open_store(settings: Settings) -> ArtifactStore:
    """Open the artifact store that the settings name."""
    return ArtifactStore(settings.store_url, keep_versions=settings.keep_versions)
