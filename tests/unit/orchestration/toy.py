"""One gated asset and its job, for tests of what runs and reports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg

from ml_assets.gates.core import GateResult
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


@gated_asset(
    gates={"long_enough": "More than one letter.", "spelled": "Letters only."}, partitions_def=SYMBOLS
)
def word(context: dg.AssetExecutionContext) -> Staged:
    key = context.partition_key
    if key == "CRASH":
        raise RuntimeError("cannot make a word") from OSError("disk [/dev/sda] is gone")
    return Staged(
        Word(key),
        {
            "long_enough": lambda w: GateResult("long_enough", len(w.text) > 1, f"{len(w.text)} letters", 1),
            "spelled": lambda w: GateResult("spelled", w.text.isalpha(), f"looked at [{w.text}]", 1),
        },
    )


def definitions(root: Path, **settings: Any) -> dg.Definitions:
    store = ArtifactStore(root)
    manager = GatedIOManager(store, collect_gates([word]), wait_seconds=0.1, wait_tries=1)
    return dg.Definitions(
        assets=[word],
        resources={"store": store, "settings": Settings(**settings), "io_manager": manager},
        jobs=[dg.define_asset_job("words", dg.AssetSelection.assets(word))],
        executor=dg.in_process_executor,
    )
