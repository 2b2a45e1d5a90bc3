"""The model as users meet it: inputs, defaults, units, shapes, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.pinn import OptionPricingPINN, QuoteError, WeightsError, black_scholes
from ml_assets.pinn.quotes import GREEKS
from tests.pinn_fixtures import random_weights


@pytest.fixture
def model() -> OptionPricingPINN:
    model = OptionPricingPINN()
    model.weights = random_weights(2)
    return model


def test_single_option_gives_floats(model: OptionPricingPINN) -> None:
    result = model.predict(S=100, K=100, tau=0.5)
    assert list(result) == [*GREEKS, "source"]
    assert all(type(result[name]) is float for name in GREEKS)
    assert result["source"] == "network"


def test_arrays_broadcast(model: OptionPricingPINN) -> None:
    S, tau = np.array([[90.0], [100.0], [110.0]]), np.array([0.25, 0.5])
    result = model.predict(S=S, K=100, tau=tau, sigma=0.3, option_type=["call", "put"])
    assert all(result[name].shape == (3, 2) for name in result)
    for i in range(3):
        for j, kind in enumerate(("call", "put")):
            one = model.predict(S=S[i, 0], K=100, tau=tau[j], sigma=0.3, option_type=kind)
            for name in GREEKS:
                assert result[name][i, j] == pytest.approx(one[name], rel=1e-13)
            assert result["source"][i, j] == one["source"]


def test_empty_input_gives_empty_output(model: OptionPricingPINN) -> None:
    result = model.predict(S=np.zeros(0), K=100, tau=0.5)
    assert all(result[name].shape == (0,) for name in result)


def test_defaults_and_option_type_belong_to_the_object(model: OptionPricingPINN) -> None:
    at = {"S": 100.0, "K": 105.0, "tau": 0.5}
    assert model.predict(**at) == model.predict(**at, r=0.05, sigma=0.2, q=0.0, option_type="call")
    model.option_type = "put"
    model.sigma = 0.4
    assert model.predict(**at) == model.predict(**at, sigma=0.4, option_type="put")
    with pytest.raises(QuoteError, match="pass 'call' or 'put'"):
        model.option_type = "Call"
    assert model.option_type == "put"


def test_constructor_validates() -> None:
    with pytest.raises(QuoteError, match="option_type"):
        OptionPricingPINN("straddle")
    with pytest.raises(QuoteError, match="sigma"):
        OptionPricingPINN(sigma=-0.1)
    with pytest.raises(ValueError, match="physics_weight"):
        OptionPricingPINN(physics_weight=0.0)


@pytest.mark.parametrize(
    ("moved", "message"),
    [
        ({"S": -1.0}, "S is -1.0"),
        ({"S": 0.0}, "above 0"),
        ({"K": float("nan")}, "K is nan"),
        ({"tau": -0.1}, "tau is -0.1"),
        ({"sigma": -0.2}, "sigma is -0.2"),
        ({"r": float("inf")}, "r is inf"),
        ({"S": [100.0, float("nan")]}, r"S\[1\] is nan"),
        ({"S": "abc"}, "S is 'abc'"),
        ({"S": None}, "S is nan|S is None"),
        ({"option_type": "digital"}, "'digital'"),
        ({"option_type": ["call", "x"]}, "'x'"),
        ({"option_type": 3}, "option_type"),
        ({"S": [1.0, 2.0], "K": [1.0, 2.0, 3.0]}, "do not broadcast"),
        ({"r": 5.0, "tau": 30.0}, "5 % is 0.05"),
    ],
)
def test_unusable_inputs_are_named(model: OptionPricingPINN, moved: dict[str, object], message: str) -> None:
    with pytest.raises(QuoteError, match=message):
        model.predict(**{"S": 100.0, "K": 100.0, "tau": 0.5, **moved})  # type: ignore[arg-type]


@pytest.mark.parametrize("moved", [{"tau": 0.0}, {"sigma": 0.0}])
@pytest.mark.parametrize("kind", ["call", "put"])
def test_expired_or_certain_options_are_intrinsic(
    model: OptionPricingPINN, moved: dict[str, float], kind: str
) -> None:
    at = {"tau": 0.5, "sigma": 0.2, **moved}
    result = model.predict(S=120.0, K=100.0, option_type=kind, **at)
    payoff = 120.0 - 100.0 * np.exp(-0.05 * at["tau"])
    assert result["price"] == pytest.approx(payoff if kind == "call" else 0.0, abs=1e-12)
    assert result["delta"] == (1.0 if kind == "call" else 0.0)
    assert result["source"] == "closed_form"


@given(st.sampled_from([1e-9, 1e-5, 10.0, 1e4]), st.sampled_from(["call", "put"]))
def test_outside_the_domain_even_a_bad_network_is_right(sigma: float, kind: str) -> None:
    model = OptionPricingPINN(kind, sigma=sigma)
    model.weights = random_weights(0, scale=3.0)
    result = model.predict(S=100, K=101, tau=1.0)
    exact = black_scholes(100, 101, 1.0, 0.05, sigma, 0.0, kind)
    assert result["source"] == "closed_form"
    assert all(result[name] == float(exact[name]) for name in GREEKS)


def test_trained_network_is_accurate_for_random_options(quick_weights) -> None:  # type: ignore[no-untyped-def]
    model = OptionPricingPINN()
    model.weights = quick_weights
    rng = np.random.default_rng(4)
    n = 5000
    options = {
        "S": rng.uniform(60, 160, n),
        "K": 100.0,
        "tau": rng.uniform(0.01, 1.5, n),
        "r": rng.uniform(-0.02, 0.12, n),
        "sigma": rng.uniform(0.08, 0.8, n),
        "q": rng.uniform(0.0, 0.1, n),
        "option_type": rng.choice(["call", "put"], n),
    }
    found, exact = model.predict(**options), black_scholes(**options)
    assert (found["source"] == "network").mean() > 0.9
    assert np.abs(found["price"] - exact["price"]).max() < 1e-8 * 100
    for name in GREEKS[1:]:
        assert np.linalg.norm(found[name] - exact[name]) < 1e-6 * np.linalg.norm(exact[name]), name


def test_without_weights_says_what_to_do() -> None:
    with pytest.raises(WeightsError, match=r"load_weights\(path\) or fit\(\)"):
        OptionPricingPINN().predict(S=100, K=100, tau=1.0)


def test_weights_from_file_or_folder(tmp_path: Path) -> None:
    model = OptionPricingPINN()
    with pytest.raises(FileNotFoundError, match="make pinn"):
        model.load_weights(tmp_path)
    (tmp_path / "option_pricing.npz").write_bytes(random_weights(1).to_bytes())
    model.load_weights(tmp_path)
    model.load_weights(str(tmp_path / "option_pricing.npz"))
    np.testing.assert_array_equal(model.weights.parameters, random_weights(1).parameters)
    (tmp_path / "other.npz").write_bytes(b"?")
    with pytest.raises(WeightsError, match=r"2 \.npz files"):
        model.load_weights(tmp_path)
    with pytest.raises(WeightsError, match=r"other\.npz: these 1 bytes"):
        model.load_weights(tmp_path / "other.npz")
    assert "network" in repr(model)
