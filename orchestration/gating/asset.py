"""Write, audit, publish: an asset's value exists for others only after each of its gates has passed.

An asset made with :func:`gated_asset` returns a :class:`Staged` value: the artifact and one callable per
declared gate. The gates run inside the op on the very bytes that would be stored. Only if all pass is
the candidate handed to the IO manager, which publishes it; otherwise it goes to quarantine.
The second layer, verification on every read, is in :mod:`orchestration.gating.verification`.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from ml_assets.gates.core import Gate, GateResult, by_name
from ml_assets.storage import ArtifactStore, Certificate, GateVerdict, certify, input_key
from orchestration.gating.values import Candidate, Staged
from orchestration.settings import Settings
from orchestration.version import code_version

__all__ = ["KEEP", "LATER", "READ", "REFUSALS", "SHA256", "collect_gates", "gated_asset", "verified"]

SHA256 = "sha256"
REFUSALS = "refusals"
KEEP = "keep"
READ = "read"
LATER = "later"


def verified(asset: str, *, keep_refusals: bool = False, read_later: bool = False) -> dg.AssetIn:
    """Declare a gated input; the op receives :class:`Certified`.

    Parameters
    ----------
    asset
        Key of the upstream asset.
    keep_refusals
        Hand over a :class:`Refusal` in the place of what is not certified: in a fan-in over partitions one
        bad symbol then does not stop the others, and an input that is a help but no need may be missing.
        Without it the read is refused.
    read_later
        For a fan-in over more partitions than memory holds: the op receives a mapping that reads a partition
        when it is asked for it, and forgets it. Ask once for each, since a newer version may have come.
    """
    metadata = {**({REFUSALS: KEEP} if keep_refusals else {}), **({READ: LATER} if read_later else {})}
    # The annotation Certified[T] is for readers and mypy; Dagster's own type system cannot express it.
    return dg.AssetIn(key=dg.AssetKey(asset), metadata=metadata, dagster_type=dg.Any)


def gated_asset(
    *,
    gates: Sequence[Gate[Any, Any]],
    partitions_def: dg.PartitionsDefinition[str] | None = None,
    **options: Any,
) -> Callable[[Callable[..., Staged]], dg.AssetsDefinition]:
    """Make an asset that publishes nothing unless all its gates pass.

    Parameters
    ----------
    gates
        At least one.
    partitions_def
        Also given to the checks: an unpartitioned check on a partitioned asset would let one symbol's pass
        hide another's failure.
    **options
        As of :func:`dagster.asset`.

    Notes
    -----
    The function asks for ``context``, ``store`` and other resources by naming them among its parameters.
    ``store`` and ``settings`` must be there in any case: the certificate names the settings in force.
    """
    if not gates:
        raise ValueError("a gated asset needs at least one gate")
    by_name(gates)  # each has a name of its own

    def decorate(function: Callable[..., Staged]) -> dg.AssetsDefinition:
        name = options.get("name") or function.__name__
        parameters = _parameters(function, options.get("ins", {}))

        @functools.wraps(function)
        def compute(
            context: dg.AssetExecutionContext, store: ArtifactStore, settings: Settings, **inputs: Any
        ) -> Iterator[dg.Output[Candidate] | dg.AssetCheckResult]:
            given = {"context": context, "store": store, "settings": settings, **inputs}
            staged = function(**{key: value for key, value in given.items() if key in parameters})
            yield from _audit(context, store, settings, name, gates, staged)

        _show_parameters(compute, parameters)
        specs = [_check_spec(name, gate, partitions_def) for gate in gates]
        definition: dg.AssetsDefinition = dg.asset(
            partitions_def=partitions_def, check_specs=specs, dagster_type=dg.Any, **options
        )(compute)
        return definition

    return decorate


def collect_gates(
    assets: Iterable[dg.AssetsDefinition | dg.AssetChecksDefinition],
) -> dict[str, frozenset[str]]:
    """List the gates of each asset, derived from the definitions: no second list to keep."""
    gates: dict[str, set[str]] = {}
    for definition in assets:
        for spec in definition.check_specs:
            if spec.blocking:
                gates.setdefault(spec.asset_key.to_user_string(), set()).add(spec.name)
    return {asset: frozenset(names) for asset, names in gates.items()}


def _check_spec(
    asset: str, gate: Gate[Any, Any], partitions_def: dg.PartitionsDefinition[str] | None
) -> dg.AssetCheckSpec:
    with warnings.catch_warnings():
        # Checks by partition are a preview of Dagster's; the pin and tests/characterization guard us.
        warnings.filterwarnings("ignore", "Specifying a partitions_def on an AssetCheckSpec")
        return dg.AssetCheckSpec(
            gate.name, asset=asset, description=gate.text, blocking=True, partitions_def=partitions_def
        )


def _parameters(function: Callable[..., Staged], inputs: Iterable[str]) -> dict[str, inspect.Parameter]:
    """Parameters of a function; ``**inputs`` stands for every declared input that has no name of its own."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = dict(inspect.signature(function, eval_str=True).parameters)
    others = [p for p in parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD]
    for parameter in others:
        del parameters[parameter.name]
        unnamed = [name for name in inputs if name not in parameters]
        parameters |= {
            name: inspect.Parameter(name, kind, annotation=parameter.annotation) for name in unnamed
        }
    return parameters


def _show_parameters(compute: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]) -> None:
    """Let Dagster, which learns from the signature, see the function's parameters, and those of the guard."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    context = inspect.Parameter("context", kind, annotation=dg.AssetExecutionContext)
    store = inspect.Parameter("store", kind, annotation=dg.ResourceParam[ArtifactStore])
    settings = inspect.Parameter("settings", kind, annotation=dg.ResourceParam[Settings])
    shown = {"context": context, **parameters, "store": store, "settings": settings}
    compute.__signature__ = inspect.Signature(list(shown.values()))  # type: ignore[attr-defined]
    compute.__annotations__ = {name: parameter.annotation for name, parameter in shown.items()}


def _audit(
    context: dg.AssetExecutionContext,
    store: ArtifactStore,
    settings: Settings,
    asset: str,
    gates: Sequence[Gate[Any, Any]],
    staged: Staged,
) -> Iterator[dg.Output[Candidate] | dg.AssetCheckResult]:
    """Run the gates on the encoded value; publish or quarantine."""
    partition = _single_partition(context)
    data = staged.artifact.to_bytes()
    # What is audited is what readers will decode, not the object that happened to be in memory.
    decoded = type(staged.artifact).from_bytes(data)
    results = [_run_gate(gate, decoded, staged.evidence) for gate in gates]
    certificate = _certificate(context, settings, asset, partition, staged, data, results)
    for result in results:
        if not result.passed:
            context.log.error(f"gate {result.gate}: FAILED: {result.message}")
    if certificate.passed:
        # One line: each verdict with its figures is an event of its own.
        context.log.info(f"gates passed: {', '.join(result.gate for result in results)}")
        # First the output, then the verdicts: so each verdict is recorded against this materialization.
        events = {"events": list(staged.events)} if staged.events else {}
        versions = {"inputs": dict(certificate.inputs), "settings_changed": settings.changed()}
        metadata = {**staged.metadata, **events, **versions}
        yield dg.Output(Candidate(data, certificate, staged.alias, staged.pages), metadata=metadata)
        yield from (_check_result(asset, result, certificate) for result in results)
        return
    place = store.quarantine(data, certificate, alias=staged.alias)
    yield from (_check_result(asset, result, certificate, place) for result in results)
    failed = [result for result in results if not result.passed]
    raise dg.Failure(
        description=f"{input_key(asset, partition)} was not published; gates failed:\n"
        + "\n".join(f"- {result.gate}: {result.message}" for result in failed)
        + f"\nThe refused candidate lies in {place}. The last certified version, if any, is unchanged.",
        metadata={"quarantine": place, SHA256: certificate.sha256},
        allow_retries=False,
    )


def _run_gate(gate: Gate[Any, Any], value: Any, evidence: Any) -> GateResult:
    """Run one gate, its verdict in the forms that certificate and event log hold; a broken gate is closed."""
    result = gate.run(value, evidence)
    try:
        verdict = GateVerdict(gate.name, bool(result.passed), result.message, result.figures)
        return GateResult(gate.name, verdict.passed, verdict.message, int(result.checked), verdict.figures)
    except (TypeError, ValueError, OverflowError) as error:
        return GateResult(gate.name, False, f"the gate itself broke: {type(error).__name__}: {error}", 0)


def _certificate(
    context: dg.AssetExecutionContext,
    settings: Settings,
    asset: str,
    partition: str | None,
    staged: Staged,
    data: bytes,
    results: Sequence[GateResult],
) -> Certificate:
    return certify(
        data,
        asset=asset,
        partition=partition,
        kind=staged.artifact.kind,
        extension=staged.artifact.extension,
        gates=[GateVerdict.of(result) for result in results],
        code_version=code_version(),
        inputs={source.label: source.certificate.sha256 for source in staged.inputs},
        run_id=context.run.run_id,
        settings=settings.in_force(),
        events=staged.events,
    )


def _check_result(
    asset: str, result: GateResult, certificate: Certificate, quarantine: str | None = None
) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {
        SHA256: certificate.sha256,
        "found": result.message,
        "checked": result.checked,
    }
    if quarantine is not None:
        metadata["quarantine"] = quarantine
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=result.gate,
        passed=result.passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=result.message,
        metadata={**result.figures, **metadata},  # no figure may pose as the hash
    )


def _single_partition(context: dg.AssetExecutionContext) -> str | None:
    if not context.has_partition_key:
        if context.has_partition_key_range:
            raise dg.Failure(
                description="several partitions in one run have no verdict each; launch one run per symbol "
                "(backfill policy 'one run per partition')",
                allow_retries=False,
            )
        return None
    key: str = context.partition_key
    return key
