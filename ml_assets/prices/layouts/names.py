"""What a column is, by its name: the words of many vendors and several languages."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

__all__ = ["Role", "plain", "role_of", "split_name"]

_WORDS: dict[str, str] = {
    # Within a role, earlier names outrank later ones where a file has several.
    "date": (
        "date|trade date|trading date|trading day|observation date|session|datum|fecha|data|dátum|"
        "tarih|дата|日期|quote date|quotedate|price date|pricing date|business date|dt|ymd|dtyyyymmdd|"
        "date utc|date gmt|date time|datetime|data pregao|data sessione|timestamp|window start|"
        "ts event|open time|day|jour|tag|giorno|dia|time|t|unix|unix timestamp|unixtimestamp|epoch|"
        "zeit|index"
    ),
    "symbol": (
        "ticker|tickers|symbol|symbols|ts code|act symbol|tic|ticker symbol|stock symbol|secid|"
        "kürzel|kuerzel|símbolo|papel|codneg|instrument|stock|security|code|stock code|sym|name|isin|"
        "wkn|s"
    ),
    "close": (
        "close|close price|closing price|price close|px last|prc|close last|closeprice|day close|"
        "last close|schluss|schlusskurs|schlusspreis|schl|cierre|clôture|cloture|clot|chiusura|"
        "fechamento|zamkniecie|zamknięcie|slutkurs|senaste|slotkoers|收盘|收盘价|終値|종가|закрытие|kapanış|"
        "last|last price|last trade|último|ultimo|dernier|zuletzt|letzter|laatste|settle|settlement|"
        "settlement price|adjusted price|price|kurs|prix|precio|prezzo|koers|value|nav|c|"
        "close close price adjusted for splits"
    ),
    "adj_close": (
        "adj close|adjusted close|adjclose|close adj|close adjusted|adjusted|adj closing price|"
        "adjusted closing price|adjcp|adj price|adj close price|bereinigter schlusskurs|"
        "close bereinigt|cierre ajustado|split dividend adjusted close|"
        "adj close adjusted close price adjusted for splits and dividend and or capital gain distributions|"
        "total return price"
    ),
    "open": (
        "open|open price|opening price|px open|price open|openprice|day open|eröffnung|eroeffnung|"
        "eröffn|eröffnungskurs|erster|apertura|ouverture|ouv|abertura|otwarcie|öppningskurs|"
        "openingskoers|开盘|开盘价|始値|시가|открытие|açılış|first|premier|prima|aber|o"
    ),
    "high": (
        "high|high price|day high|daily high|px high|price high|highprice|max price|hoch|höchst|"
        "hoechst|tageshoch|höchstkurs|máximo|máx|max|maximo|plus haut|haut|massimo|máxima|maxima|"
        "najwyzszy|najwyższy|hoog|最高|最高价|高値|고가|максимум|yüksek|maximum|h"
    ),
    "low": (
        "low|low price|day low|daily low|px low|price low|lowprice|min price|tief|tiefst|tagestief|"
        "tiefstkurs|mínimo|mín|min|minimo|plus bas|bas|minima|mínima|najnizszy|najniższy|laag|最低|最低价|"
        "安値|저가|минимум|düşük|minimum|l"
    ),
    "volume": (
        "volume|vol|volumen|trade volume|trading volume|total volume|px volume|share volume|"
        "shares traded|volumes|ttl trd qnty|total traded quantity|no of shares|stück|stueck|stuecke|"
        "umsatz|volumén|volym|wolumen|obroty|成交量|出来高|거래량|объем|hacim|quantity|qty|v"
    ),
    "adj_open": "adj open|adjusted open|adjopen|open adj",
    "adj_high": "adj high|adjusted high|adjhigh|high adj",
    "adj_low": "adj low|adjusted low|adjlow|low adj",
    "adj_volume": "adj volume|adjusted volume|adjvolume|volume adj",
}


class Role(NamedTuple):
    """What a column holds, and how sure its name is (0 is best)."""

    name: str
    rank: int


def plain(name: str) -> str:
    """Reduce a column's name to lower-case words without accents, numbering and punctuation.

    Examples
    --------
    >>> plain("1. open"), plain("Adj Close**"), plain("<TICKER>"), plain("adjClose"), plain("Eröffn.")
    ('open', 'adj close', 'ticker', 'adj close', 'eroffn')
    """
    text = re.sub(r"^\s*\d+[a-z]?\.\s+", "", name)
    text = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", text)
    text = re.sub(r"\((?:usd|eur|gbp|[$€£])\)", " ", text, flags=re.IGNORECASE)
    text = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss").replace("ł", "l").replace("ı", "i"))
    text = "".join(character for character in text if not unicodedata.combining(character))
    return re.sub(r"[\W_]+", " ", text).strip()


_ROLES: dict[str, Role] = {}
for _role, _names in _WORDS.items():
    for _rank, _name in enumerate(_names.split("|")):
        _ROLES.setdefault(plain(_name), Role(_role, _rank))


def role_of(name: str) -> Role | None:
    """Return the role that a column's name stands for, or None.

    Parameters
    ----------
    name : str
        The name as the file has it.
    """
    words = plain(name)
    found = _ROLES.get(words)
    if found is None and words.startswith("volume "):
        return Role("volume", 99)  # 'Volume BTC', 'Volume (shares)'
    return found


def split_name(name: str) -> tuple[str, str] | None:
    """Split names such as ``AAPL.Open``, ``close_MSFT`` or ``BRK.B Adj Close`` into symbol and role.

    Returns
    -------
    tuple of str or None
        The symbol as written and the role; None if the name is not of this kind.
    """
    for mark in (".", "_", ":", "|", "/", " ", "-"):
        pieces = name.split(mark)
        for cut in range(1, len(pieces)):
            left, right = mark.join(pieces[:cut]).strip(), mark.join(pieces[cut:]).strip()
            for symbol, field in ((left, right), (right, left)):
                role = role_of(field) if len(field) > 1 else None
                ticker = mark not in " -" or symbol == symbol.upper()
                if role and role.name not in ("date", "symbol") and symbol and ticker and not role_of(symbol):
                    return symbol, role.name
    return None
