"""The three forms in which callers hold many options, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard, cast

import numpy as np

from ml_assets.pinn.quotes import QuoteError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["columns_from_records", "records_from_columns"]

_DEFAULTS: Mapping[str, float | str] = {
    "r": 0.05,
    "sigma": 0.2,
    "q": 0.0,
    "option_type": "call",
    "exercise": "european",
}
_REQUIRED = ("S", "K", "tau")
_FIELDS = (*_REQUIRED, *_DEFAULTS)


def _is_frame(options: object) -> TypeGuard[pd.DataFrame]:
    """Whether it is a DataFrame, found out without importing pandas."""
    return hasattr(options, "to_dict") and hasattr(options, "columns")


def _check_names(names: Sequence[str], where: str) -> None:
    """Refuse missing and unknown fields: a misspelt ``vol`` must not price at the default volatility."""
    missing = [name for name in _REQUIRED if name not in names]
    unknown = [str(name) for name in names if name not in _FIELDS]
    if missing or unknown:
        problem = " and ".join(
            part
            for part in (
                f"lacks {', '.join(missing)}" if missing else "",
                f"has unknown {', '.join(unknown)}" if unknown else "",
            )
            if part
        )
        raise QuoteError(f"{where} {problem}: the fields are {', '.join(_FIELDS)}")


def columns_from_records(
    options: Sequence[Mapping[str, Any]] | Mapping[str, Any] | pd.DataFrame,
) -> dict[str, Any]:
    """Turn options into ``exercise`` and keyword arguments of :func:`ml_assets.pinn.quotes.make_quotes`.

    Raises
    ------
    QuoteError
        For a missing or unknown field, with the option's position.
    """
    if _is_frame(options):
        _check_names(list(options.columns), "the DataFrame")
        found: dict[str, Any] = {name: options[name].to_numpy() for name in options.columns}
    elif isinstance(options, Mapping):
        _check_names(list(options), "the dict of arrays")
        found = {name: np.atleast_1d(options[name]) for name in options}
    else:
        found = _transpose(cast("Sequence[Mapping[str, Any]]", options))
    return {**_DEFAULTS, **found}


def _transpose(options: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Columns of a list of dicts; the common case, where all have the same fields, needs no defaults."""
    if not options:
        return {name: np.zeros(0) for name in _REQUIRED}
    names = options[0].keys()
    if any(option.keys() != names for option in options):
        for at, option in enumerate(options):
            _check_names(list(option), f"option {at}")
        filled = [{**_DEFAULTS, **option} for option in options]
        return {name: [option[name] for option in filled] for name in _FIELDS}
    _check_names(list(names), "option 0")
    return {name: [option[name] for option in options] for name in names}


def records_from_columns(
    result: dict[str, Any], options: Sequence[Mapping[str, Any]] | Mapping[str, Any] | pd.DataFrame
) -> list[dict[str, Any]] | dict[str, Any] | pd.DataFrame:
    """Give results the form in which the options came."""
    if _is_frame(options):
        return type(options)(result, index=options.index)
    if isinstance(options, Mapping):
        return result
    rows = zip(*(column.tolist() for column in result.values()), strict=True)
    return [dict(zip(result, row, strict=True)) for row in rows]
