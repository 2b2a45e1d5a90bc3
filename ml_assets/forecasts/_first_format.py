"""Read what was stored when direction and variance had formats of their own: verdicts, releases, drift."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["current", "drift", "promotion", "release"]

Fields = Mapping[str, Any]

_HORIZON = 1
"""Direction was not stored with its horizon: it was that of the setting, one day by default."""


def current(data: bytes, is_current: Callable[[Fields], bool], convert: Callable[[Fields], Fields]) -> bytes:
    """Bring a stored document into the format of now.

    What is of neither format is handed on as it is: the validation that follows says what is wrong with it.
    """
    fields: Any = json.loads(data)
    try:
        return data if is_current(fields) else json.dumps(convert(fields)).encode()
    except (AttributeError, KeyError, TypeError):
        return data


def promotion(fields: Fields) -> dict[str, Any]:
    """Fields of a `Promotion` from the first format's: symbols alone for direction, horizons for variance."""
    by_horizon = "horizons" in fields
    champions = [
        (symbol, int(horizon), champion)
        for symbol, held in fields["champions"].items()
        for horizon, champion in (held.items() if by_horizon else [(_HORIZON, held)])
    ]
    return {
        "rule": _rule(fields["rule"]),
        "horizons": fields["horizons"] if by_horizon else [_HORIZON],
        "verdicts": [_verdict(v) for v in fields["verdicts"]],
        "controls": [_verdict(v) for v in fields["controls"]],
        "void": fields["void"],
        "champions": [
            {"symbol": symbol, "horizon": horizon, "champion": _champion(champion)}
            for symbol, horizon, champion in sorted(champions, key=lambda one: one[:2])
        ],
    }


def release(fields: Fields) -> dict[str, Any]:
    """Fields of a `Release` from the first format's, which withheld symbols and variance apart."""
    direction = {f"{symbol} ({_HORIZON} d)": reason for symbol, reason in fields["withheld"].items()}
    return {
        "versions": [
            v | {"horizon": _HORIZON} if v["asset"] == "mamba_weights" else v for v in fields["versions"]
        ],
        "withheld": {"direction": direction, "variance": fields.get("withheld_variance", {})},
        "passed_over": fields.get("passed_over", {}),
    }


def drift(fields: Fields) -> dict[str, Any]:
    """Fields of a `DriftReport` from the first format's; direction kept hits instead of its forecasts."""
    if "looks" in fields:
        names = {"excess": "level", "reported_excess": "reported_level"}
        looks = [
            look | {"drift": {names.get(k, k): v for k, v in look["drift"].items()}}
            for look in fields["looks"]
        ]
        return {**fields, "looks": looks}
    old, hits = dict(fields["accuracy"]), fields["hits"]
    level = old.pop("hits") / old["days"]
    reported = old.pop("reported_hits") / old["reported_days"]
    look = {
        "horizon": _HORIZON,
        "baseline": "",
        "forecast": [1.0] * len(hits),
        "realized": [1.0 if hit else -1.0 for hit in hits],
        "baseline_forecast": [],
        "drift": {**old, "level": level, "reported_level": reported},
        **{name: fields[name] for name in ("champion", "judged_until", "dates")},
    }
    return {"symbol": fields["symbol"], "looks": [look], "features": fields["features"]}


def _rule(old: Fields) -> dict[str, Any]:
    names = {"quarantine_accuracy": "quarantine", "quarantine_gain": "quarantine"}
    return {"margin": 0.0, **{names.get(name, name): value for name, value in old.items()}}


def _champion(old: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in old.items() if name != "accuracy"}
    return {**kept, "promised": old.get("accuracy")}


def _verdict(old: Mapping[str, Any]) -> dict[str, Any]:
    if "horizon" in old:
        return {**old, "level": None, "baseline_level": None}
    level, baseline = old["accuracy"], old["baseline_accuracy"]
    kept = {k: v for k, v in old.items() if k not in ("accuracy", "baseline", "baseline_accuracy")}
    return {
        **kept,
        "horizon": _HORIZON,
        "level": level,
        "best_baseline": old["baseline"],
        "baseline_level": baseline,
        "gain": None if level is None or baseline is None else level - baseline,
    }
