"""What a version of an artifact has passed, in a file that shows when somebody edited it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ml_assets.storage._fields import (
    Figure,
    figure,
    no_constant,
    require_fields,
    require_match,
    require_text,
    text,
    unique,
)

if TYPE_CHECKING:
    from ml_assets.gates.core import GateResult

__all__ = ["Certificate", "GateVerdict", "certify"]

_FORMAT = 2
_SINCE_2: dict[str, list[str] | dict[str, str]] = {"settings": {}, "events": []}
"""What format 1 did not have, and stands for it when such a certificate is read."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ASSET = re.compile(r"[A-Za-z0-9_]{1,100}")
_EXTENSION = re.compile(r"(\.[A-Za-z0-9_]{1,20}){1,3}")


@dataclass(frozen=True)
class GateVerdict:
    """What one gate said about one version.

    Parameters
    ----------
    gate : str
        Name of the gate.
    passed : bool
        Whether the version passed.
    message : str
        What was looked at, or what is wrong.
    figures : mapping of str to float, int or str
        Numbers beside the verdict. A NaN or infinity is kept as its name (JSON has neither).
    """

    gate: str
    passed: bool
    message: str
    figures: Mapping[str, Figure] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_text("gate", self.gate)
        if not isinstance(self.passed, bool):
            raise TypeError(
                f"gate {self.gate!r}: passed must be True or False, not {self.passed!r}: wrap it in bool()"
            )
        if not isinstance(self.message, str):
            raise TypeError(f"gate {self.gate!r}: the message must be text, not {self.message!r}")
        object.__setattr__(self, "figures", {text(k): figure(k, v) for k, v in self.figures.items()})

    @classmethod
    def of(cls, result: GateResult) -> GateVerdict:
        """Verdict of a gate's result; the count of comparisons becomes the figure ``checked``."""
        return cls(
            result.gate, bool(result.passed), result.message, {**result.figures, "checked": result.checked}
        )


@dataclass(frozen=True)
class Certificate:
    """What is known about one version of one artifact. Make one by :func:`certify`.

    Parameters
    ----------
    asset : str
        Asset that the version belongs to; letters, digits and underscores.
    partition : str or None
        Partition (a symbol), None for an asset without partitions.
    kind, extension : str
        Type of the artifact and its file extension with the dot.
    sha256 : str
        Hash of the bytes, 64 lower-case hex digits.
    size : int
        Number of bytes.
    created_at : str
        When it was made: ISO 8601, UTC.
    gates : tuple of GateVerdict
        Every gate that looked at these bytes, each once.
    code_version : str
        Version of the code that made them.
    inputs : mapping of str to str
        Hash of each version read, by ``asset`` or ``asset/partition``.
    run_id : str or None
        Run that made them.
    settings : mapping of str to str
        The settings in force; empty in certificates written before they were kept.
    events : tuple of str
        What went wrong while the version was made, and how that was mended; likewise.

    Raises
    ------
    ValueError, TypeError
        If a field is not what is described here.
    """

    asset: str
    partition: str | None
    kind: str
    extension: str
    sha256: str
    size: int
    created_at: str
    gates: tuple[GateVerdict, ...]
    code_version: str
    inputs: Mapping[str, str]
    run_id: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    events: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_match("asset", self.asset, _ASSET, "letters, digits and underscores")
        require_match("extension", self.extension, _EXTENSION, "like '.npz' or '.weights.h5'")
        if self.extension == ".certificate.json":
            raise ValueError(
                "extension '.certificate.json' is that of the certificates themselves: choose another"
            )
        require_match("sha256", self.sha256, _SHA256, "64 lower-case hex digits")
        for name in ("kind", "code_version"):
            require_text(name, getattr(self, name))
        for name in ("partition", "run_id"):
            if getattr(self, name) is not None:
                require_text(name, getattr(self, name))
        if type(self.size) is not int or self.size < 0:
            raise ValueError(f"size must be a number of bytes, not {self.size!r}")
        if _when(self.created_at).utcoffset() != timedelta(0):
            raise ValueError(
                f"created_at must be in UTC, for instance 2025-01-31T12:00:00+00:00, not {self.created_at}"
            )
        object.__setattr__(self, "gates", _gates(self.gates))
        object.__setattr__(self, "inputs", dict(self.inputs))
        object.__setattr__(self, "settings", {text(k): text(v) for k, v in self.settings.items()})
        object.__setattr__(self, "events", tuple(text(event) for event in self.events))
        for source, version in self.inputs.items():
            require_text("the name of an input", source)
            require_match(f"the version of input {source}", version, _SHA256, "64 lower-case hex digits")

    @property
    def passed(self) -> bool:
        """Whether at least one gate looked and every gate passed."""
        return bool(self.gates) and all(verdict.passed for verdict in self.gates)

    @property
    def failed_gates(self) -> tuple[GateVerdict, ...]:
        """The verdicts that refused."""
        return tuple(verdict for verdict in self.gates if not verdict.passed)

    @property
    def created(self) -> datetime:
        """``created_at`` as an aware time."""
        return _when(self.created_at)

    def to_json(self) -> str:
        """Encode; deterministic. The ``seal`` is the hash of everything else, so an edit by hand shows."""
        body = {"format": _FORMAT, **asdict(self)}
        return json.dumps({**body, "seal": _seal(body)}, indent=1, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Certificate:
        """Decode what :meth:`to_json` wrote, and nothing else.

        Raises
        ------
        ValueError, TypeError
            If a field is missing, unknown, twice there or of the wrong type, or the seal does not match.
        """
        body = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
        form = body.get("format") if isinstance(body, dict) else None
        missing = _SINCE_2 if form == 1 else {}
        needed = {"format", "seal", *(f.name for f in fields(cls))} - missing.keys()
        require_fields("the certificate", body, needed)
        seal = body.pop("seal")
        if type(form) is not int or form not in (1, _FORMAT):
            raise ValueError(f"its format is {form!r}, this code reads 1 and {_FORMAT}")
        if seal != _seal(body):
            raise ValueError("its seal does not match: it was edited after it was written")
        del body["format"]
        body |= missing
        for name in ("gates", "events"):
            if not isinstance(body[name], list):
                raise TypeError(f"{name} must be a list, not {body[name]!r}")
        for name in ("inputs", "settings"):
            if not isinstance(body[name], dict):
                raise TypeError(f"{name} must be an object, not {body[name]!r}")
        return cls(**{**body, "gates": tuple(_verdict(entry) for entry in body["gates"])})


def certify(
    data: bytes,
    *,
    asset: str,
    partition: str | None = None,
    kind: str,
    extension: str,
    gates: Iterable[GateVerdict],
    code_version: str,
    inputs: Mapping[str, str] | None = None,
    run_id: str | None = None,
    settings: Mapping[str, str] | None = None,
    events: Iterable[str] = (),
) -> Certificate:
    """Certificate of these very bytes, made now. Whether they passed is what ``gates`` say.

    Parameters
    ----------
    data : bytes
        The encoded artifact.
    asset, partition, kind, extension, gates, code_version, inputs, run_id, settings, events
        See :class:`Certificate`.

    Examples
    --------
    >>> verdict = GateVerdict("causal", True, "1,200 rows recomputed")
    >>> certificate = certify(
    ...     b"x", asset="raw_prices", kind="prices", extension=".parquet", gates=[verdict], code_version="1"
    ... )
    >>> certificate.passed
    True
    """
    return Certificate(
        asset=asset,
        partition=partition,
        kind=kind,
        extension=extension,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
        gates=tuple(gates),
        code_version=code_version,
        inputs=inputs or {},
        run_id=run_id,
        settings=settings or {},
        events=tuple(events),
    )


def _seal(body: Mapping[str, object]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _verdict(entry: object) -> GateVerdict:
    require_fields("a gate's verdict", entry, {f.name for f in fields(GateVerdict)})
    assert isinstance(entry, dict)
    if not isinstance(entry["figures"], dict):
        raise TypeError("the figures of a verdict must be an object")
    return GateVerdict(**entry)


def _gates(gates: Iterable[GateVerdict]) -> tuple[GateVerdict, ...]:
    verdicts = tuple(gates)
    names = [verdict.gate for verdict in verdicts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"each gate speaks once, but these are there twice: {', '.join(twice)}")
    return verdicts


def _when(text: str) -> datetime:
    if not isinstance(text, str):
        raise TypeError(f"created_at must be text, not {text!r}")
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(f"created_at must name its time zone, +00:00, not {text!r}")
    return when
