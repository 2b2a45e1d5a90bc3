"""The only way in and out of the store for assets: certified values in, verified values out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from ml_assets.storage import ArtifactStore, Certificate, NotCertified
from ml_assets.storage.artifact import Artifact
from orchestration.gating.asset import KEEP, LATER, READ, REFUSALS, SHA256
from orchestration.gating.decoding import decode as decode_known
from orchestration.gating.values import Candidate, Certified, Refusal
from orchestration.gating.verification import State, Verdict, Version, verdict, version_of

__all__ = ["GatedIOManager"]


@dataclass(frozen=True)
class _Pending(Exception):  # noqa: N818  not an error: ask again later
    reason: str


class _ReadLater(Mapping[str, Certified[Any] | Refusal]):
    """A fan-in of which nothing is kept: a partition is read and verified at each look at it."""

    def __init__(self, partitions: list[str], read: Callable[[str], Certified[Any] | Refusal]) -> None:
        self._partitions, self._read = dict.fromkeys(partitions), read

    def __getitem__(self, partition: str) -> Certified[Any] | Refusal:
        if partition not in self._partitions:
            raise KeyError(partition)
        return self._read(partition)

    def __iter__(self) -> Iterator[str]:
        return iter(self._partitions)

    def __len__(self) -> int:
        return len(self._partitions)


class GatedIOManager(dg.IOManager):
    """Publish certified candidates; read nothing whose gates have not passed.

    Parameters
    ----------
    store
        Where artifacts lie.
    gates
        Names of the gates of every asset, from :func:`orchestration.gating.collect_gates`.
    wait_seconds, wait_tries
        How long to wait for a gate that is still running before the read is refused.
    decode
        Turns kind and bytes into a value.
    """

    def __init__(
        self,
        store: ArtifactStore,
        gates: Mapping[str, frozenset[str]],
        *,
        wait_seconds: float,
        wait_tries: int,
        decode: Callable[[str, bytes], Artifact] = decode_known,
    ) -> None:
        self._decode = decode
        self._store = store
        self._gates = gates
        self._wait_seconds = wait_seconds
        self._wait_tries = wait_tries

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Publish a candidate; a bare value, which no gate has seen, is refused."""
        if not isinstance(obj, Candidate):
            raise dg.Failure(
                f"{context.asset_key.to_user_string()} returned {type(obj).__name__}, which no gate has "
                "seen; make the asset with gated_asset and return Staged(...)",
                allow_retries=False,
            )
        certificate = self._store.publish(obj.data, obj.certificate, alias=obj.alias)
        for path, page in obj.pages.items():
            self._store.save_page(path, page)
        context.add_output_metadata(
            {SHA256: certificate.sha256, "bytes": certificate.size, "code_version": certificate.code_version}
        )

    def load_input(self, context: dg.InputContext) -> Any:
        """Return :class:`Certified`, or for a fan-in a mapping of them by partition.

        Raises
        ------
        dagster.Failure
            If a gate has not passed for the version; never retried.
        dagster.RetryRequested
            If a gate is still running.
        """
        declared = context.definition_metadata or {}
        read = self._read_or_mark if declared.get(REFUSALS) == KEEP else self._read_or_refuse
        if not context.has_asset_partitions:
            return read(context, None)
        partitions = list(context.asset_partition_keys)
        if len(partitions) == 1 and not _is_fan_in(context):
            return read(context, partitions[0])
        if declared.get(READ) == LATER:
            return _ReadLater(partitions, lambda partition: read(context, partition))
        return {partition: read(context, partition) for partition in partitions}

    def _read_or_mark(self, context: dg.InputContext, partition: str | None) -> Certified[Any] | Refusal:
        try:
            return self._read_or_wait(context, partition)
        except NotCertified as error:
            context.log.warning("%s", error)
            return Refusal(partition, error.reason, error.sha256)

    def _read_or_refuse(self, context: dg.InputContext, partition: str | None) -> Certified[Any]:
        try:
            return self._read_or_wait(context, partition)
        except NotCertified as error:
            raise dg.Failure(
                description=f"{_name(context, partition)} may not be read: {error.reason}. {error.remedy}.",
                allow_retries=False,
            ) from error

    def _read_or_wait(self, context: dg.InputContext, partition: str | None) -> Certified[Any]:
        """Read; a gate that is still running puts it off, but not for ever and not outside a run."""
        try:
            return self._read(context, partition)
        except _Pending as pending:
            if _tries(context, self._wait_tries) >= self._wait_tries:
                asset = context.asset_key.to_user_string()
                remedy = "Read again when that run has ended; if it hangs, terminate it in the UI"
                raise _refused(asset, partition, None, pending.reason, remedy) from None
            context.log.info("waiting for %s: %s", _name(context, partition), pending.reason)
            raise dg.RetryRequested(
                max_retries=self._wait_tries, seconds_to_wait=self._wait_seconds
            ) from None

    def certificate(
        self, instance: dg.DagsterInstance, asset: str, partition: str | None
    ) -> Certificate | None:
        """Certificate of the newest version if it may be read now, by event log and bytes; else None."""
        try:
            return self._verified(instance, dg.AssetKey(asset), partition)[1]
        except (NotCertified, _Pending):
            return None

    def _read(self, context: dg.InputContext, partition: str | None) -> Certified[Any]:
        """Verify, then decode the bytes that were verified."""
        data, certificate, verdicts = self._verified(context.instance, context.asset_key, partition)
        context.log.info(
            "read %s version %s, gates passed: %s",
            _name(context, partition),
            certificate.sha256[:12],
            ", ".join(v.gate for v in verdicts),
        )
        for refused in [v.newer_refusal for v in verdicts if v.newer_refusal][:1]:
            context.log.warning(
                "%s: a newer %s; this run reads the version before", _name(context, partition), refused
            )
        return Certified(self._decode(certificate.kind, data), certificate)

    def _verified(
        self, instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None
    ) -> tuple[bytes, Certificate, list[Verdict]]:
        """Bytes and certificate of the newest version, once each of its gates and its bytes are verified."""
        asset = key.to_user_string()
        gates = sorted(self._gates.get(asset, ()))
        if not gates:
            raise _refused(asset, partition, None, "it has no gates, so nothing vouches for it")
        version = version_of(instance, key, partition)
        if isinstance(version, str):
            _wait_for_first_version(instance, key, gates, partition)
            raise _refused(asset, partition, None, version)
        verdicts = [verdict(instance, key, gate, partition, version) for gate in gates]
        _require_passed(asset, partition, version, verdicts)
        data, certificate = self._store.read(asset, partition, version.sha256)
        missing = set(gates) - {gate.gate for gate in certificate.gates}
        if missing:
            reason = f"its certificate lacks the gates {sorted(missing)}"
            raise _refused(asset, partition, version.sha256, reason)
        return data, certificate, verdicts


def _wait_for_first_version(
    instance: dg.DagsterInstance, key: dg.AssetKey, gates: list[str], partition: str | None
) -> None:
    """Before anything is published, a live run may be about to: then wait rather than refuse."""
    nothing = Version(sha256="", storage_id=-1, run_id="")
    for gate in gates:
        latest = verdict(instance, key, gate, partition, nothing)
        if latest.state is State.RUNNING:
            raise _Pending(f"gate {gate} {latest.reason}")


def _require_passed(asset: str, partition: str | None, version: Version, verdicts: list[Verdict]) -> None:
    closed = [v for v in verdicts if v.state is State.CLOSED]
    if closed:
        reasons = "; ".join(f"gate {v.gate} {v.reason}" for v in closed)
        raise _refused(asset, partition, version.sha256, f"version {version.sha256[:12]}: {reasons}")
    running = [v for v in verdicts if v.state is State.RUNNING]
    if running:
        raise _Pending("; ".join(f"gate {v.gate} {v.reason}" for v in running))


def _refused(
    asset: str,
    partition: str | None,
    sha256: str | None,
    reason: str,
    remedy: str = "Materialize it again and let its gates pass",
) -> NotCertified:
    return NotCertified(
        reason,
        code="no_version" if sha256 is None else "gate_failed",
        asset=asset,
        partition=partition,
        sha256=sha256,
        remedy=remedy,
    )


def _is_fan_in(context: dg.InputContext) -> bool:
    """Tell a fan-in over a universe that happens to hold one symbol from a one-to-one read."""
    return not context.has_partition_key


def _tries(context: dg.InputContext, outside_a_run: int) -> int:
    """How often this step has been put off; a read from a notebook has no step."""
    try:
        return context.step_context.previous_attempt_count
    except dg.DagsterInvariantViolationError:
        return outside_a_run


def _name(context: dg.InputContext, partition: str | None) -> str:
    asset = context.asset_key.to_user_string()
    return asset if partition is None else f"{asset}[{partition}]"
