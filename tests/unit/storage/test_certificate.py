"""Certificates: exact round trip, nothing else accepted."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.gates.core import GateResult
from ml_assets.storage import Certificate, GateVerdict, certify
from tests.unit.storage.make import FAILED, PASSED, certificate

words = st.text(min_size=1, max_size=20)
figures = st.dictionaries(
    words, st.floats() | st.integers(-(2**63), 2**63) | st.text(max_size=20), max_size=4
)
verdicts = st.builds(GateVerdict, words, st.booleans(), st.text(max_size=30), figures)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
certificates = st.builds(
    lambda data, **rest: certify(data, **rest),
    data=st.binary(max_size=30),
    asset=st.from_regex(r"[A-Za-z0-9_]{1,20}", fullmatch=True),
    partition=st.none() | words,
    kind=words,
    extension=st.sampled_from([".npz", ".weights.h5", ".parquet"]),
    gates=st.lists(verdicts, max_size=4, unique_by=lambda v: v.gate),
    code_version=words,
    inputs=st.dictionaries(words, hashes, max_size=3),
    run_id=st.none() | words,
)


@given(certificates)
def test_round_trip_is_exact(one: Certificate) -> None:
    again = Certificate.from_json(one.to_json())
    assert again == one
    assert again.to_json() == one.to_json()
    assert pickle.loads(pickle.dumps(one)) == one


@given(st.lists(verdicts, max_size=5, unique_by=lambda v: v.gate))
def test_passed_needs_a_gate_and_every_gate(gates: list[GateVerdict]) -> None:
    one = replace(certificate(b"x"), gates=tuple(gates))
    assert one.passed == (len(gates) > 0 and not one.failed_gates)


@given(certificates, st.data())
def test_any_edit_by_hand_shows(one: Certificate, data: st.DataObject) -> None:
    text = one.to_json()
    at = data.draw(st.integers(0, len(text) - 1))
    char = data.draw(st.characters(codec="ascii").filter(lambda c: c != text[at]))
    edited = text[:at] + char + text[at + 1 :]
    try:
        body = json.loads(edited)
    except ValueError:
        body = None
    if body == json.loads(text) and len(set(json.loads(text))) == len(body):
        return  # white space or the case of an escape: the same content
    with pytest.raises((ValueError, TypeError)):
        Certificate.from_json(edited)


@pytest.mark.parametrize("field", sorted(json.loads(certificate(b"x").to_json())))
def test_every_field_is_required(field: str) -> None:
    body = json.loads(certificate(b"x").to_json())
    del body[field]
    with pytest.raises(ValueError, match=rf"lacks.*{field}"):
        Certificate.from_json(json.dumps(body))


def test_a_certificate_of_the_format_before_settings_still_opens() -> None:
    body = json.loads(certificate(b"x").to_json())
    del body["settings"], body["events"], body["seal"]
    body["format"] = 1
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    old = {**body, "seal": hashlib.sha256(canonical.encode()).hexdigest()}
    read = Certificate.from_json(json.dumps(old))
    assert (read.settings, read.events) == ({}, ())
    with pytest.raises(ValueError, match="unknown"):
        Certificate.from_json(json.dumps({**old, "events": []}))


def test_unknown_and_double_fields_and_non_json_are_refused() -> None:
    text = certificate(b"x").to_json()
    with pytest.raises(ValueError, match=r"unknown.*extra"):
        Certificate.from_json(json.dumps({**json.loads(text), "extra": 1}))
    with pytest.raises(ValueError, match="twice"):
        Certificate.from_json(text.replace('"size": 1', '"size": 1, "size": 1'))
    for bad in (
        "",
        "[]",
        "null",
        "{",
        '{"a": NaN}',
        text.replace('"size": 1', '"size": NaN'),
        text[:-20],
        b"\xff\xfe",
    ):
        with pytest.raises((ValueError, TypeError)):
            Certificate.from_json(bad)


def test_an_edited_verdict_with_the_old_seal_is_refused() -> None:
    text = certificate(b"x", FAILED).to_json()
    with pytest.raises(ValueError, match="seal does not match"):
        Certificate.from_json(text.replace('"passed": false', '"passed": true'))


@pytest.mark.parametrize(
    "change",
    [
        {"asset": "../up"}, {"asset": ""}, {"asset": 3}, {"partition": ""}, {"extension": "npz"},
        {"extension": ".certificate.json"}, {"extension": "./x"}, {"sha256": "A" * 64}, {"sha256": "0" * 63},
        {"size": -1}, {"size": 1.0}, {"size": True}, {"created_at": "yesterday"},
        {"created_at": "2025-01-01T00:00:00"},
        {"created_at": "2025-01-01T00:00:00+02:00"}, {"created_at": 1}, {"kind": ""}, {"code_version": None},
        {"inputs": {"a": "b"}}, {"gates": (PASSED, PASSED)}, {"run_id": ""},
    ],
    ids=str,
)  # fmt: skip
def test_malformed_fields_are_refused(change: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        replace(certificate(b"x"), **change)


def test_verdict_refuses_what_is_no_truth_value() -> None:
    with pytest.raises(TypeError, match="True or False"):
        GateVerdict("causal", "true", "")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="number or text"):
        GateVerdict("causal", True, "", {"x": [1]})  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        GateVerdict("causal", True, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        GateVerdict("causal", True, "", {1: 1})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="empty"):
        GateVerdict("", True, "")


def test_figures_of_numpy_and_non_numbers_become_plain() -> None:
    verdict = GateVerdict(
        "g", True, "", {"a": np.float64(1.5), "b": np.int32(2), "c": math.nan, "d": np.float32(np.inf)}
    )
    assert verdict.figures == {"a": 1.5, "b": 2, "c": "nan", "d": "inf"}
    assert {type(v) for v in verdict.figures.values()} == {float, int, str}


def test_verdict_of_a_gate_result() -> None:
    verdict = GateVerdict.of(GateResult("causal", np.bool_(True), "looked", 12, {"worst": 0.5}))  # type: ignore[arg-type]
    assert verdict == GateVerdict("causal", True, "looked", {"worst": 0.5, "checked": 12})
