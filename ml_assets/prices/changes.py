"""Which symbols have prices that nobody has worked through yet, and which of them are ready to be run.

Pure bookkeeping: a program that looks at a source again and again keeps a :class:`Memory` between its looks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self

import numpy as np

from ml_assets.prices.history import PriceHistory
from ml_assets.prices.restatement import compare_histories

__all__ = ["Change", "ChangeKind", "Look", "Memory", "classify", "fingerprint", "look"]

ChangeKind = Literal["first", "appended", "restated", "revised"]
"""Why a symbol is run: it has no report yet; new days follow the known ones; old days changed; or the source
gives the same days in a form that differs in detail (a shorter past, another rounding)."""


def fingerprint(history: PriceHistory) -> str:
    """Hash the content of a history: its days, columns and values, not the file that they came from.

    Returns
    -------
    str
        64 hex digits; equal for equal prices, whatever their file's name, time or layout.
    """
    digest = hashlib.sha256(f"{history.symbol}|{','.join(history.frame.columns)}".encode())
    digest.update(history.dates.to_numpy().astype("datetime64[D]").astype(np.int64).tobytes())
    # Adding zero makes 0.0 of -0.0; NaN has one bit pattern after where.
    values = history.frame.to_numpy(dtype=np.float64) + 0.0
    digest.update(np.ascontiguousarray(np.where(np.isnan(values), np.nan, values)).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Change:
    """What the offered prices of a symbol are, beside those that were worked through."""

    kind: ChangeKind
    text: str
    new_days: int


def classify(known: PriceHistory | None, offered: PriceHistory) -> Change:
    """Compare what is offered with what was last worked through.

    Parameters
    ----------
    known : PriceHistory or None
        The prices behind the symbol's report; None if it has none.
    offered : PriceHistory
        What the source gives now.
    """
    if known is None:
        return Change("first", f"{offered.symbol}: first prices, {len(offered)} days", len(offered))
    found = compare_histories(known, offered)
    otherwise: ChangeKind = "appended" if found.appended else "revised"
    return Change("restated" if found.changed else otherwise, found.message, found.appended)


class _Seen(NamedTuple):
    """One symbol's content as it was first seen, and how often it was run."""

    content: str
    since: float
    attempts: int = 0


@dataclass(frozen=True)
class Memory:
    """What is kept between two looks; goes into a cursor as JSON.

    Parameters
    ----------
    seen
        By symbol: content, when it was first seen [seconds since 1970], runs requested for it.
    asked
        How many requests were made at all. It makes the key of each request a new one, so that a symbol which
        left and came back with the same prices is not taken for one that was served.
    """

    seen: Mapping[str, _Seen] = field(default_factory=dict)
    asked: int = 0

    def to_json(self) -> str:
        """Encode."""
        return json.dumps({"asked": self.asked, "seen": dict(sorted(self.seen.items()))})

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """Decode; what cannot be read is an empty memory, which costs a quiet period and no more."""
        try:
            record = json.loads(text or "{}")
            seen = {
                str(s): _Seen(str(c), float(t), int(n)) for s, (c, t, n) in record.get("seen", {}).items()
            }
            return cls(seen, int(record.get("asked", 0)))
        except (ValueError, TypeError, AttributeError):
            return cls()


@dataclass(frozen=True)
class Look:
    """The outcome of one look: the new memory, what to run, and why the rest waits."""

    memory: Memory
    ready: tuple[str, ...]
    unsettled: tuple[str, ...]
    given_up: tuple[str, ...]

    def requested(self, symbols: Collection[str]) -> Memory:
        """Return the memory after runs of these symbols were requested."""
        seen = {s: m._replace(attempts=m.attempts + (s in symbols)) for s, m in self.memory.seen.items()}
        return Memory(seen, self.memory.asked + 1)


def look(
    memory: Memory,
    offered: Mapping[str, str],
    done: Mapping[str, str | None],
    *,
    now: float,
    quiet: float,
    attempts: int,
) -> Look:
    """Decide which symbols to run.

    A symbol is ready when its content is not the one worked through, has been the same for ``quiet`` seconds
    (a file that is still being written changes or is refused from look to look), and was not tried too often.

    Parameters
    ----------
    memory
        Of the look before.
    offered
        Fingerprint by symbol of what the source gives; a symbol that is refused now is absent.
    done
        Fingerprint by symbol of what was worked through up to a certified report.
    now, quiet
        Time and length of the quiet period [s].
    attempts
        Runs per content. After them the symbol waits for new prices or for a person.
    """
    seen, ready, unsettled, given_up = {}, [], [], []
    for symbol, content in sorted(offered.items()):
        before = memory.seen.get(symbol)
        known = before if before is not None and before.content == content else _Seen(content, now)
        seen[symbol] = known
        if content == done.get(symbol):
            seen[symbol] = _Seen(content, known.since)  # should its report be lost, it starts anew
        elif now - known.since < quiet:
            unsettled.append(symbol)
        elif known.attempts >= attempts:
            given_up.append(symbol)
        else:
            ready.append(symbol)
    # A memory that was lost must not count from one again: its requests would look like those made before.
    return Look(Memory(seen, memory.asked or int(now)), tuple(ready), tuple(unsettled), tuple(given_up))
