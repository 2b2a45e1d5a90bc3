"""Symbols: one spelling, and a slug that no file system confuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.storage.symbols import normalize_symbol, slug, unslug

any_symbol = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
tricky_symbol = st.text(alphabet="aAbB./\\_-^=$ 0é\n", min_size=1, max_size=6)


@given(any_symbol | tricky_symbol)
def test_slug_round_trip(symbol: str) -> None:
    assert unslug(slug(symbol)) == symbol


@given(tricky_symbol, tricky_symbol)
def test_slug_is_injective_even_where_case_is_ignored(one: str, other: str) -> None:
    assert (slug(one).casefold() == slug(other).casefold()) == (one == other)


@given(any_symbol | tricky_symbol)
def test_slug_is_safe_everywhere(symbol: str) -> None:
    text = slug(symbol)
    assert text.isascii()
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert not text.startswith((".", "-"))
    assert not text.endswith((".", " "))
    assert ".." not in text
    assert text.partition(".")[0] not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}
    assert Path(text).name == text


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("AAPL", "AAPL"),
        ("BRK.B", "BRK.B"),
        ("BRK-B", "BRK-B"),
        ("^GSPC", "_5EGSPC"),
        ("CON", "_43ON"),
        ("CON.B", "_43ON.B"),
        ("com1.x", "_63_6F_6D1_2E_78"),
        ("..", "_2E_2E"),
        ("EURUSD=X", "EURUSD_3DX"),
        ("7203.T", "7203.T"),
        ("Ü", "_C3_9C"),
    ],
)
def test_slug_examples(symbol: str, expected: str) -> None:
    assert slug(symbol) == expected
    assert unslug(expected) == symbol


@pytest.mark.parametrize("text", ["", "aapl", "_5", "_5e", "CON", "A/B", "A..B", "_41", "é", "_FF", "A._42"])
def test_unslug_refuses_what_slug_never_writes(text: str) -> None:
    with pytest.raises(ValueError, match="not the slug"):
        unslug(text)


@pytest.mark.parametrize("symbol", ["", "é" * 100, "\ud800"])
def test_slug_refuses(symbol: str) -> None:
    with pytest.raises(ValueError, match=r"empty|too long|UTF-8"):
        slug(symbol)


def test_slug_is_a_valid_dagster_partition_key() -> None:
    from dagster import DagsterInstance

    keys = [slug(symbol) for symbol in ("...", "a\tb", "\x00", "A...B", "../../etc", "BRK.B")]
    with DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("symbols", keys)
        assert instance.get_dynamic_partitions("symbols") == keys


@pytest.mark.parametrize(
    ("text", "expected"), [(" aapl ", "AAPL"), ("$XOM", "XOM"), ("brk.b", "BRK.B"), ("ａ", "A")]
)
def test_normalize(text: str, expected: str) -> None:
    assert normalize_symbol(text) == expected


@given(any_symbol)
def test_normalize_is_idempotent(text: str) -> None:
    try:
        once = normalize_symbol(text)
    except ValueError:
        return
    if not once.startswith("$"):
        assert normalize_symbol(once) == once


@pytest.mark.parametrize("text", ["", "  ", "A B", "A\x00B"])
def test_normalize_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="no symbol"):
        normalize_symbol(text)
