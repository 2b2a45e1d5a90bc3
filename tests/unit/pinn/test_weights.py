"""The artifact: deterministic bytes, exact round trip, refusal of everything else."""

from __future__ import annotations

import io
import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.pinn import Domain, PinnRecipe, PinnWeights, WeightsError
from ml_assets.storage.artifact import Artifact
from tests.pinn_fixtures import random_weights


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 3))
def test_round_trip_is_exact(seed: int, width: int, depth: int) -> None:
    weights = random_weights(seed, width=width, depth=depth)
    again = PinnWeights.from_bytes(weights.to_bytes())
    assert again.to_bytes() == weights.to_bytes()
    np.testing.assert_array_equal(again.parameters, weights.parameters)
    assert (again.width, again.depth, again.seed, again.domain) == (width, depth, seed, Domain())


def test_figures_history_and_domain_survive() -> None:
    domain = Domain(s_min=0.01, s_max=1.0)
    weights = PinnWeights.from_parameters(
        random_weights(1).parameters,
        8,
        2,
        domain=domain,
        figures={"loss": 1e-17, "reason": "iterations", "steps": 3},
        history=np.array([[1.0, 2.0], [3.0, 4.0]]),
    )
    again = PinnWeights.from_bytes(weights.to_bytes())
    assert again.domain == domain
    assert again.figures == {"loss": 1e-17, "reason": "iterations", "steps": 3}
    np.testing.assert_array_equal(again.history, weights.history)


def test_bytes_do_not_depend_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    before = random_weights(1).to_bytes()
    later = time.time() + 86_400 * 400
    monkeypatch.setattr(time, "time", lambda: later)
    assert random_weights(1).to_bytes() == before


def test_is_an_artifact_and_immutable() -> None:
    weights = random_weights(1)
    assert isinstance(weights, Artifact)
    with pytest.raises(ValueError, match="read-only"):
        weights.kernels[0][0, 0] = 1.0


@pytest.mark.parametrize("data", [b"", b"not an archive", b"PK\x03\x04 broken"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(WeightsError, match="no PINN weights"):
        PinnWeights.from_bytes(data)


def test_truncated_and_foreign_archives_are_refused() -> None:
    data = random_weights(1).to_bytes()
    with pytest.raises(WeightsError):
        PinnWeights.from_bytes(data[: len(data) // 2])
    buffer = io.BytesIO()
    np.savez(buffer, something=np.zeros(3))
    with pytest.raises(WeightsError, match="no PINN weights"):
        PinnWeights.from_bytes(buffer.getvalue())


def test_a_pickle_is_never_opened() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array([{"format": 2}], dtype=object))
    with pytest.raises(WeightsError):
        PinnWeights.from_bytes(buffer.getvalue())


def test_future_format_says_so() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.frombuffer(json.dumps({"format": 99}).encode(), dtype=np.uint8))
    with pytest.raises(WeightsError, match="format 99"):
        PinnWeights.from_bytes(buffer.getvalue())


def test_bad_arrays_are_refused() -> None:
    weights = random_weights(1)
    with pytest.raises(WeightsError, match="do not fill"):
        PinnWeights.from_parameters(np.append(weights.parameters, 0.0), 8, 2)
    broken = weights.parameters
    broken[5] = np.nan
    with pytest.raises(WeightsError, match="NaN"):
        PinnWeights.from_parameters(broken, 8, 2)
    with pytest.raises(WeightsError, match="per layer"):
        PinnWeights(weights.kernels, weights.biases[:-1])
    with pytest.raises(WeightsError, match="after 3 units"):
        PinnWeights(weights.kernels[1:], weights.biases[1:])
    with pytest.raises(WeightsError, match="8 outputs"):
        PinnWeights(weights.kernels[:-1], weights.biases[:-1])
    with pytest.raises(WeightsError, match="float64"):
        PinnWeights(tuple(k.astype(np.float32) for k in weights.kernels), weights.biases)


@pytest.mark.parametrize(
    "bad",
    [
        {"points": 0},
        {"width": 0},
        {"adam_steps": -1},
        {"physics_weight": 0.0},
        {"physics_weight": float("nan")},
        {"time_budget": 0.0},
    ],
)
def test_recipe_refuses_nonsense(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        PinnRecipe(**bad)  # type: ignore[arg-type]
