"""Decoding by kind."""

from __future__ import annotations

from importlib import import_module

import pytest

from ml_assets.forecasts.release import Release
from orchestration.gating.decoding import _KINDS, decode


def test_decodes_what_was_encoded() -> None:
    release = Release([], {"direction": {"A (1 d)": "REJECT: no skill"}})
    assert decode("release", release.to_bytes()) == release


def test_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match=r"unknown kind of artifact 'crystal'; was it written by a newer"):
        decode("crystal", b"")


@pytest.mark.parametrize("kind", _KINDS)
def test_every_kind_names_a_class_of_that_kind(kind: str) -> None:
    module, name = _KINDS[kind].split(":")
    found = getattr(import_module(module), name)
    assert found.kind == kind
    assert found.extension.startswith(".")
    with pytest.raises((ValueError, OSError)):
        decode(kind, b"these bytes are something else")
