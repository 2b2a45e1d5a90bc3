"""Strict checks of the fields of a certificate."""

from __future__ import annotations

import math
import re
from typing import NoReturn

__all__ = [
    "Figure",
    "figure",
    "no_constant",
    "require_fields",
    "require_match",
    "require_text",
    "text",
    "unique",
]

Figure = float | int | str
"""A number or word shown beside a verdict."""


def figure(name: str, value: object) -> Figure:
    """Bring a figure into a form that JSON gives back exactly: NumPy scalars and NaN change, others stay."""
    if hasattr(value, "item") and not isinstance(value, (float, int, str)):
        value = value.item()  # a NumPy scalar
    if isinstance(value, float):
        # float() of a NumPy float64, which is a float but prints differently
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"figure {name!r} must be a number or text, not {value!r}")


def text(value: object) -> str:
    """Return the value if it is text."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} must be text")
    return value


def require_text(name: str, value: object) -> None:
    """Refuse what is not text, or empty."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, not {value!r}")
    if not value:
        raise ValueError(f"{name} must not be empty")


def require_match(name: str, value: object, pattern: re.Pattern[str], wanted: str) -> None:
    """Refuse what is not text of this pattern; ``wanted`` says in words what is."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{name} must be {wanted}, not {value!r}")


def require_fields(name: str, body: object, wanted: set[str]) -> None:
    """Refuse what is not a JSON object with exactly these fields."""
    if not isinstance(body, dict):
        raise TypeError(f"{name} must be a JSON object")
    missing, unknown = sorted(wanted - body.keys()), sorted(body.keys() - wanted)
    if missing or unknown:
        raise ValueError(f"{name} lacks {missing or 'nothing'} and has unknown {unknown or 'nothing'}")


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build a JSON object, refusing a field that is there twice (``object_pairs_hook``)."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is there twice")
    return found


def no_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which are no JSON (``parse_constant``)."""
    raise ValueError(f"{name} is no JSON number")
