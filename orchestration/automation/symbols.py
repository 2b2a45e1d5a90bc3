"""New symbols get a partition; new and changed prices get a run."""

import time
from collections.abc import Mapping, Sequence

import dagster as dg

from ml_assets.prices import PriceFileError, PriceHistory, PriceSource, PriceSourceError
from ml_assets.prices.changes import Change, ChangeKind, Memory, classify, fingerprint, look
from ml_assets.storage import ArtifactStore
from orchestration.automation.fleet import request_update
from orchestration.fleet.state import Worked, at_work, known_symbols, worked_through
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings

__all__ = ["new_symbols", "price_changes"]

_REASONS: dict[ChangeKind, str] = {
    "first": "first prices",
    "appended": "new days",
    "restated": "restated history: full rebuild, base model included",
    "revised": "the same days in another form",
}


def new_symbols(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Add a partition for each new symbol of the source; :func:`price_changes` then requests its run."""

    @dg.sensor(
        name="new_symbols",
        minimum_interval_seconds=30,
        default_status=status,
        description="Adds a partition when the price source offers a new symbol; price_changes then runs it.",
    )
    def sensor(
        context: dg.SensorEvaluationContext,
        source: dg.ResourceParam[PriceSource],
        settings: dg.ResourceParam[Settings],
    ) -> dg.SensorResult | dg.SkipReason:
        known = set(known_symbols(context.instance))
        new = [s for s in settings.wanted_symbols(source.symbols()) if s not in known]
        if not new:
            urgent = [p.message for p in source.problems() if p.kind in ("refused", "conflict")]
            return dg.SkipReason("; ".join([f"no new symbol; {len(known)} known", *urgent]))
        context.log.info(f"new: {', '.join(new)}")
        return dg.SensorResult(
            dynamic_partitions_requests=[SYMBOLS.build_add_request(new)],
            skip_reason=dg.SkipReason(f"added {', '.join(new)}; price_changes requests the run"),
        )

    return sensor


def price_changes(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Request runs for symbols whose prices are new or have changed, once they have stood still."""

    @dg.sensor(
        name="price_changes",
        job_name="fleet_update",
        minimum_interval_seconds=30,
        default_status=status,
        description="Runs the symbols whose prices are new or changed; restated history is rebuilt in full.",
    )
    def sensor(
        context: dg.SensorEvaluationContext,
        source: dg.ResourceParam[PriceSource],
        settings: dg.ResourceParam[Settings],
        store: dg.ResourceParam[ArtifactStore],
    ) -> dg.SensorResult | dg.SkipReason:
        symbols = known_symbols(context.instance)
        offered, refused = _offered(source, symbols)
        worked = {s: worked_through(store, s) for s in offered}
        state = look(
            Memory.from_json(context.cursor),
            {s: fingerprint(prices) for s, prices in offered.items()},
            {s: None if w is None else w.content for s, w in worked.items()},
            now=time.time(),
            quiet=settings.quiet_seconds,
            attempts=settings.attempts_per_content,
        )
        changes = {s: _change(worked[s], offered[s]) for s in state.ready}
        few = [
            s for s, c in changes.items() if c.kind == "appended" and c.new_days < settings.retrain_after_days
        ]
        changes = {s: c for s, c in changes.items() if s not in few}
        busy = at_work(context.instance, settings, ["fleet_update"], list(changes)) if changes else None
        waiting = _waiting(state.unsettled, state.given_up, few, refused, settings)
        if busy is not None or not changes:
            context.update_cursor(state.memory.to_json())
            first = f"{', '.join(changes)} must wait: {busy}" if busy else f"{len(offered)} symbols looked at"
            return dg.SkipReason("; ".join([first, *waiting]))
        for line in waiting:
            context.log.info(line)
        memory = state.requested(list(changes))
        return dg.SensorResult(
            run_requests=_requests(changes, {s: memory.seen[s].content for s in changes}, memory.asked),
            cursor=memory.to_json(),
        )

    return sensor


def _offered(source: PriceSource, symbols: Sequence[str]) -> tuple[dict[str, PriceHistory], dict[str, str]]:
    """Load what can be loaded; a broken file stops its own symbol alone."""
    offered, refused = {}, {}
    for symbol in symbols:
        try:
            offered[symbol] = source.load(symbol)
        except (PriceFileError, PriceSourceError, OSError) as error:
            refused[symbol] = str(error)
    return offered, refused


def _change(worked: Worked | None, offered: PriceHistory) -> Change:
    return classify(None if worked is None else worked.prices, offered)


def _requests(changes: Mapping[str, Change], contents: Mapping[str, str], number: int) -> list[dg.RunRequest]:
    """Ask for one run per kind of change, so that its tags can say what it is."""
    requests = []
    for kind, reason in _REASONS.items():
        symbols = [s for s, change in changes.items() if change.kind == kind]
        if symbols:
            details = "; ".join(changes[s].text for s in symbols) if kind != "first" else ", ".join(symbols)
            key = "-".join([str(number), kind, *(f"{s}.{contents[s][:12]}" for s in symbols)])
            requests.append(
                request_update(symbols, f"{reason}: {details}", renew_base=kind != "appended", run_key=key)
            )
    return requests


def _waiting(
    unsettled: Sequence[str],
    given_up: Sequence[str],
    few: Sequence[str],
    refused: Mapping[str, str],
    settings: Settings,
) -> list[str]:
    """Say for whom nothing is requested, and why."""
    lines = []
    if unsettled:
        lines.append(f"not settled for {settings.quiet_seconds:.0f} s yet: {', '.join(unsettled)}")
    if given_up:
        lines.append(
            f"given up after {settings.attempts_per_content} runs on the same prices: {', '.join(given_up)} "
            "(each waits for other prices, or for you to mend the cause and run it by hand)"
        )
    if few:
        lines.append(f"fewer than {settings.retrain_after_days} new days: {', '.join(few)}")
    lines += [f"{symbol} cannot be read: {reason}" for symbol, reason in refused.items()]
    return lines
