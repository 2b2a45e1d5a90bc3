"""A run over the fleet that was stopped goes on where it stopped.

While a run lasts, a file beside the Dagster instance names its start. A run that comes to its end removes it,
whatever its verdicts. One that is stopped (kill -9, Ctrl-C, SIGTERM, power cut) leaves it there, and the next
run of the same kind keeps what was certified since that start with the same code, settings and inputs: made
again, it would come out bit for bit the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from ml_assets.prices import PriceFileError, PriceSource, PriceSourceError
from ml_assets.prices.changes import fingerprint
from ml_assets.storage import ArtifactStore, Certificate, atomic_write
from orchestration.fleet.run import Graph, RunOutcome
from orchestration.fleet.state import Worked, current, prices_of
from orchestration.gating.io_manager import GatedIOManager
from orchestration.settings import Settings
from orchestration.version import code_version

__all__ = ["Kept", "unfinished"]


@contextmanager
def unfinished(
    settings: Settings, kind: str, report: Callable[[str], object], *, anew: bool = False
) -> Iterator[datetime | None]:
    """Mark a run as unfinished until the block ends; yield the start of the stopped run to go on with.

    Parameters
    ----------
    settings
        Name the folder of the instance.
    kind
        What is run: only a run of the same kind goes on.
    report
        Told if there is something to go on with.
    anew
        Make everything again, whatever a stopped run has left.
    """
    path = settings.home / "unfinished" / f"{kind}.json"
    since = None if anew else _start_in(path)
    if since is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps({"started": datetime.now(UTC).isoformat()}).encode())
    else:
        report(
            f"going on with the run of {since:%Y-%m-%d %H:%M} UTC, which was stopped: what it has certified "
            "is kept where code, settings and inputs are the same"
        )
    yield since
    path.unlink(missing_ok=True)


def _start_in(path: Path) -> datetime | None:
    try:
        return datetime.fromisoformat(json.loads(path.read_bytes())["started"])
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
    ):  # there is none, or it is damaged: then all is made anew
        return None


@dataclass(frozen=True)
class Kept:
    """What a stopped run has certified, and need not be made again.

    Parameters
    ----------
    graph, instance
        Where to look.
    since
        When the stopped run began; None if nothing is to be kept.
    """

    graph: Graph
    instance: dg.DagsterInstance
    since: datetime | None

    def certificate(self, asset: str, partition: str | None = None) -> Certificate | None:
        """Certificate of what the stopped run made and this one would make the same; else None."""
        if self.since is None:
            return None
        reader: GatedIOManager = self.graph.resource("io_manager")
        settings: Settings = self.graph.resource("settings")
        made = reader.certificate(self.instance, asset, partition)
        if made is None or made.created < self.since or made.code_version != code_version():
            return None
        return made if settings.makes_the_same(made.settings) and self._inputs_are_current(made) else None

    def split(
        self, job: str, symbol: str | None, assets: Sequence[str]
    ) -> tuple[RunOutcome | None, tuple[str, ...]]:
        """Split assets that are made in this order: the outcome of what is kept, and what is to be made."""
        certificates: list[Certificate] = []
        for asset in assets:
            certificate = self.certificate(asset, symbol)
            if certificate is None:
                break
            certificates.append(certificate)
        if not certificates:
            return None, tuple(assets)
        gates = sum(len(certificate.gates) for certificate in certificates)
        run = certificates[-1].run_id or ""
        outcome = RunOutcome(job, symbol, True, gates, 0, None, None, 0.0, run, kept=True)
        return outcome, tuple(assets[len(certificates) :])

    def _inputs_are_current(self, made: Certificate) -> bool:
        store: ArtifactStore = self.graph.resource("store")
        if made.asset == "raw_prices":  # its input is the source
            return self._source_offers(prices_of(store, str(made.partition), made.sha256))
        for key, sha256 in made.inputs.items():
            asset, _, partition = key.partition("/")
            newest = current(store, asset, partition or None)
            if newest is None or newest.sha256 != sha256:
                return False
        return True

    def _source_offers(self, prices: Worked) -> bool:
        source: PriceSource = self.graph.resource("source")
        try:
            return fingerprint(source.load(prices.prices.symbol)) == prices.content
        except (PriceFileError, PriceSourceError, OSError):
            return False
