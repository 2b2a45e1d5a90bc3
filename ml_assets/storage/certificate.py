"""What a version of an artifact has passed, in a file that shows when somebody edited it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, NoReturn

from pydantic import AfterValidator, ConfigDict, Field, InstanceOf, NonNegativeInt
from pydantic.dataclasses import dataclass as validated

if TYPE_CHECKING:
    from ml_assets.gates.core import GateResult

__all__ = ["Certificate", "GateVerdict", "certify"]

_FORMAT = 2
_SINCE_2 = {"settings", "events"}
"""What format 1 did not have; their defaults stand for it when such a certificate is read."""

Figure = float | int | str
"""A number or word shown beside a verdict."""
_AnyText = InstanceOf[str]
"""Any text: pydantic's own ``str`` refuses what a message may hold, the undecodable bytes of a path."""
_Text = Annotated[str, Field(min_length=1)]
_EXTENSION = r"^(\.[A-Za-z0-9_]{1,20}){1,3}$"
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _figure(name: str, value: object) -> Figure:
    """Bring a figure into a form that JSON gives back exactly: NumPy scalars and NaN change, others stay."""
    if hasattr(value, "item"):
        value = value.item()  # a NumPy scalar
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (float, int, str)):
        return value
    raise TypeError(f"figure {name!r} must be a number or text, not {value!r}")


def _utc(text: str) -> str:
    if datetime.fromisoformat(text).utcoffset() != timedelta(0):
        raise ValueError(f"must be in UTC, for instance 2025-01-31T12:00:00+00:00, not {text}")
    return text


def _no_certificate(extension: str) -> str:
    if extension == ".certificate.json":
        raise ValueError("'.certificate.json' is that of the certificates themselves: choose another")
    return extension


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
        for word in (self.gate, self.message, *self.figures):
            if not isinstance(word, str):
                raise TypeError(f"gate {self.gate!r}: {word!r} must be text")
        if not self.gate:
            raise ValueError("the name of a gate must not be empty")
        if not isinstance(self.passed, bool):
            raise TypeError(
                f"gate {self.gate!r}: passed must be True or False, not {self.passed!r}: wrap it in bool()"
            )
        object.__setattr__(self, "figures", {k: _figure(k, v) for k, v in self.figures.items()})

    @classmethod
    def of(cls, result: GateResult) -> GateVerdict:
        """Verdict of a gate's result; the count of comparisons becomes the figure ``checked``."""
        return cls(
            result.gate, bool(result.passed), result.message, {**result.figures, "checked": result.checked}
        )


def _each_once(verdicts: tuple[GateVerdict, ...]) -> tuple[GateVerdict, ...]:
    names = [verdict.gate for verdict in verdicts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"each gate speaks once, but these are there twice: {', '.join(twice)}")
    return verdicts


@validated(frozen=True, config=ConfigDict(strict=True))
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

    asset: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,100}$")]
    partition: _Text | None
    kind: _Text
    extension: Annotated[str, Field(pattern=_EXTENSION), AfterValidator(_no_certificate)]
    sha256: _Sha256
    size: NonNegativeInt
    created_at: Annotated[str, AfterValidator(_utc)]
    gates: Annotated[tuple[GateVerdict, ...], AfterValidator(_each_once)]
    code_version: _Text
    inputs: dict[_Text, _Sha256]
    run_id: _Text | None = None
    settings: dict[_AnyText, _AnyText] = field(default_factory=dict)
    events: Annotated[tuple[_AnyText, ...], Field(strict=False)] = ()

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
        return datetime.fromisoformat(self.created_at)

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
        body = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        if not isinstance(body, dict):
            raise TypeError("the certificate must be a JSON object")
        form = body.get("format")
        wanted = {"format", "seal", *(f.name for f in fields(cls))} - (_SINCE_2 if form == 1 else set())
        missing, unknown = sorted(wanted - body.keys()), sorted(body.keys() - wanted)
        if missing or unknown:
            raise ValueError(f"it lacks {missing or 'nothing'} and has unknown {unknown or 'nothing'}")
        if type(form) is not int or form not in (1, _FORMAT):
            raise ValueError(f"its format is {form!r}, this code reads 1 and {_FORMAT}")
        if body.pop("seal") != _seal(body):
            raise ValueError("its seal does not match: it was edited after it was written")
        del body["format"]
        return cls(**{**body, "gates": tuple(GateVerdict(**entry) for entry in body["gates"])})


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
        inputs=dict(inputs or {}),
        run_id=run_id,
        settings=dict(settings or {}),
        events=tuple(events),
    )


def _seal(body: Mapping[str, object]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build a JSON object, refusing a field that is there twice (``object_pairs_hook``)."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is there twice")
    return found


def _no_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which are no JSON (``parse_constant``)."""
    raise ValueError(f"{name} is no JSON number")
