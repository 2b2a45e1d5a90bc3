"""Names of stocks, and the one spelling of a name that every file system and Dagster accept.

``normalize_symbol`` is applied once, where a name enters (a ticker column, a file name, a setting). ``slug``
turns a symbol into a folder name or partition key, ``unslug`` turns it back. The slug is injective even where
a file system ignores case, so two symbols never share a folder.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["normalize_symbol", "slug", "unslug"]

_MAX_SLUG = 180
"""A file name holds 255 bytes; the rest is left for extensions and temporary suffixes."""

_ESCAPED = re.compile(r"[^A-Z0-9.-]|(?<![A-Z0-9])[.-]|[.-](?![A-Z0-9])")
"""Dots and hyphens stay between kept characters only: Dagster forbids '...', Windows a final dot."""
_RESERVED = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    + [f"{device}{digit}" for device in ("COM", "LPT") for digit in "0123456789"]
)
"""Device names of Windows: reserved with any extension, so ``CON.B`` is one too."""


def normalize_symbol(text: str) -> str:
    """Bring a symbol into its one spelling: trimmed, upper case, Unicode NFKC.

    Parameters
    ----------
    text : str
        A symbol as a vendor or a user wrote it, for instance ``' aapl '`` or ``'$XOM'``.

    Returns
    -------
    str
        For instance ``'AAPL'`` and ``'XOM'``.

    Raises
    ------
    ValueError
        If nothing is left, or if the symbol holds control characters or white space within.

    Examples
    --------
    >>> normalize_symbol(" brk.b ")
    'BRK.B'
    """
    symbol = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).strip().upper()).strip()
    if len(symbol) > 1 and symbol.startswith("$"):
        symbol = symbol[1:]
    if not symbol:
        raise ValueError(f"{text!r} is no symbol: it is empty. Give a name such as 'AAPL'.")
    if any(character.isspace() or not character.isprintable() for character in symbol):
        raise ValueError(
            f"{text!r} is no symbol: it holds white space or control characters. Give a name such as 'AAPL'."
        )
    return symbol


def slug(symbol: str) -> str:
    """Spell a symbol so that it is safe as a file name, an object key and a Dagster partition key.

    Capital letters, digits, inner hyphens and single inner dots stay as they are; every other character
    becomes ``_`` and two hexadecimal digits for each of its UTF-8 bytes. No other ``_`` and no lower case
    occurs, so different symbols differ in their slugs even where case is ignored.

    Parameters
    ----------
    symbol : str
        Any non-empty text; normalize it first if it comes from outside.

    Returns
    -------
    str
        The slug, of at most 180 characters.

    Raises
    ------
    ValueError
        If the symbol is empty, too long, or not encodable as UTF-8.

    Examples
    --------
    >>> slug("AAPL"), slug("BRK.B"), slug("^GSPC"), slug("CON"), slug("../x")
    ('AAPL', 'BRK.B', '_5EGSPC', '_43ON', '_2E_2E_2F_78')
    """
    if not symbol:
        raise ValueError("a symbol may not be empty; give a name such as 'AAPL'")
    reserved = symbol.upper().partition(".")[0] in _RESERVED
    start = _escape(symbol[0]) if reserved else ""
    result = start + _ESCAPED.sub(lambda hit: _escape(hit[0]), symbol[1:] if reserved else symbol)
    if len(result) > _MAX_SLUG:
        raise ValueError(
            f"symbol {symbol[:40]!r}... is too long for a file name; use at most {_MAX_SLUG} characters"
        )
    return result


def unslug(text: str) -> str:
    """Turn a slug back into its symbol.

    Parameters
    ----------
    text : str
        What :func:`slug` returned.

    Returns
    -------
    str
        The symbol.

    Raises
    ------
    ValueError
        If no symbol has this slug.

    Examples
    --------
    >>> unslug("_5EGSPC")
    '^GSPC'
    """
    try:
        raw = re.sub(rb"_([0-9A-F]{2})", lambda hit: bytes([int(hit[1], 16)]), text.encode("ascii"))
        symbol = raw.decode("utf-8")
    except UnicodeError:
        symbol = ""
    if not symbol or slug(symbol) != text:
        raise ValueError(f"{text!r} is not the slug of any symbol; slugs are made by `slug` of this module")
    return symbol


def _escape(character: str) -> str:
    try:
        data = character.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{character!r} cannot be written as UTF-8, so no symbol may hold it") from error
    return "".join(f"_{byte:02X}" for byte in data)
