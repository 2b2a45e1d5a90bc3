"""One gated asset and its job, for tests of what runs and reports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg

from ml_assets.gates.core import Gate, GateResult
from ml_assets.storage import ArtifactStore
from ml_assets.storage.artifact import JsonArtifact
from orchestration.gating import Staged, collect_gates, gated_asset
from orchestration.gating.io_manager import GatedIOManager
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings


@dataclass(frozen=True)
class Word(JsonArtifact):
    """The smallest report."""

    kind: ClassVar[str] = "word"
    text: str


def _long_enough(word: Word, _: object) -> GateResult:
    return GateResult("long_enough", len(word.text) > 1, f"{len(word.text)} letters", 1)


def _spelled(word: Word, _: object) -> GateResult:
    return GateResult("spelled", word.text.isalpha(), f"looked at [{word.text}]", 1)


@gated_asset(
    gates=[
        Gate("long_enough", "More than one letter.", _long_enough),
        Gate("spelled", "Letters only.", _spelled),
    ],
    partitions_def=SYMBOLS,
)
def word(context: dg.AssetExecutionContext) -> Staged:
    key = context.partition_key
    if key == "CRASH":
        raise RuntimeError("cannot make a word") from OSError("disk [/dev/sda] is gone")
    return Staged(Word(key))


def definitions(root: Path, **settings: Any) -> dg.Definitions:
    store = ArtifactStore(root)
    manager = GatedIOManager(store, collect_gates([word]), wait_seconds=0.1, wait_tries=1)
    return dg.Definitions(
        assets=[word],
        resources={"store": store, "settings": Settings(**settings), "io_manager": manager},
        jobs=[dg.define_asset_job("words", dg.AssetSelection.assets(word))],
        executor=dg.in_process_executor,
    )
