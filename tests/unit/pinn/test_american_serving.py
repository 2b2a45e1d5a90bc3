"""American options through the interfaces that serve European ones, and the artifact behind them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_assets.pinn import OptionPricingPINN, PINNCache, PinnWeights, QuoteError, WeightsError
from ml_assets.pinn.american import AmericanWeights
from ml_assets.pinn.quotes import GREEKS
from ml_assets.pinn.serving import certified
from ml_assets.storage import ArtifactStore, GateVerdict, NotCertified, certify
from ml_assets.storage.artifact import Artifact
from tests.american_fixtures import random_american
from tests.pinn_fixtures import imported_by_serving, random_weights

AT = {"S": 100.0, "K": 105.0, "tau": 0.5, "r": 0.05, "sigma": 0.25, "option_type": "put", "q": 0.02}


@pytest.fixture
def cache(american_quick: AmericanWeights) -> PINNCache:
    return PINNCache(weights=random_weights(1), american_weights=american_quick)


@pytest.fixture
def model(american_quick: AmericanWeights) -> OptionPricingPINN:
    model = OptionPricingPINN()
    model.weights, model.american_weights = random_weights(1), american_quick
    return model


@pytest.fixture
def forgotten() -> Iterator[None]:
    certified._loaded.clear()
    yield
    certified._loaded.clear()


def publish(root: Path, weights: AmericanWeights, passed: bool = True) -> str:
    data = weights.to_bytes()
    certificate = certify(
        data,
        asset="american_weights",
        kind=weights.kind,
        extension=weights.extension,
        gates=[GateVerdict("american_price", passed, "for the test", {})],
        code_version="test",
    )
    return ArtifactStore(root).publish(data, certificate).sha256


def test_one_option_gives_floats_and_says_who_answered(model: OptionPricingPINN) -> None:
    result = model.predict(**AT, exercise="american")
    assert list(result) == [*GREEKS, "source"]
    assert all(type(result[name]) is float for name in GREEKS)
    assert result["source"] == "network"
    assert result["price"] > model.predict(**AT)["price"]
    assert model.predict(**{**AT, "tau": 30.0}, exercise="american")["source"] == "binomial"


def test_default_is_european_and_unchanged(model: OptionPricingPINN, cache: PINNCache) -> None:
    assert model.predict(**AT) == model.predict(**AT, exercise="european")
    assert cache.predict_with_cache(**AT) == model.predict(**AT)


def test_exercise_by_option(model: OptionPricingPINN) -> None:
    S = np.array([[90.0, 100.0], [110.0, 120.0]])
    exercise = np.array([["american", "european"], ["european", "american"]])
    mixed = model.predict(**{**AT, "S": S}, exercise=exercise)
    for i in np.ndindex(2, 2):
        single = model.predict(**{**AT, "S": S[i]}, exercise=str(exercise[i]))
        for name in GREEKS:
            assert mixed[name][i] == pytest.approx(single[name], rel=1e-11)
        assert mixed["source"][i] == single["source"]
    assert model.predict(**{**AT, "S": np.zeros(0)}, exercise="american")["price"].shape == (0,)


@pytest.mark.parametrize("exercise", ["bermudan", ["american", "asian"], 3, None])
def test_unknown_exercise_is_refused(model: OptionPricingPINN, exercise: object) -> None:
    with pytest.raises(QuoteError, match="pass 'european' or 'american'"):
        model.predict(**{**AT, "S": [90.0, 100.0]}, exercise=exercise)  # type: ignore[arg-type]


def test_exercise_must_fit_the_options(model: OptionPricingPINN) -> None:
    with pytest.raises(QuoteError, match="one for all or one for each"):
        model.predict(**AT, exercise=["american", "european", "american"])


def test_exercise_is_in_the_key(cache: PINNCache) -> None:
    european = cache.predict_with_cache(**AT)
    american = cache.predict_with_cache(**AT, exercise="american")
    assert american["price"] > european["price"]
    assert cache.stats.hits == 0
    assert cache.predict_with_cache(**AT, exercise="american") == american
    assert cache.predict_with_cache(**AT) == european
    assert cache.stats.hits == 2
    with pytest.raises(QuoteError, match="bermudan"):
        cache.predict_with_cache(**AT, exercise="bermudan")


def test_batch_takes_the_field(cache: PINNCache) -> None:
    options = [{**AT, "S": S, "exercise": kind} for S in (90.0, 110.0) for kind in ("american", "european")]
    del options[1]["exercise"]  # the default
    records = cache.batch_predict(options)
    frame = cache.batch_predict(pd.DataFrame([{"exercise": "european", **option} for option in options]))
    columns = cache.batch_predict({**{name: [AT[name]] * 2 for name in AT}, "exercise": "american"})
    for i, option in enumerate(options):
        single = cache.predict_with_cache(**option)  # type: ignore[arg-type]
        assert records[i]["price"] == pytest.approx(single["price"], rel=1e-11)  # type: ignore[index]
        assert frame["price"].iloc[i] == records[i]["price"]  # type: ignore[index, union-attr]
        assert records[i]["source"] == single["source"]  # type: ignore[index]
    assert (columns["price"] == cache.predict_with_cache(**AT, exercise="american")["price"]).all()  # type: ignore


@pytest.mark.usefixtures("forgotten")
def test_without_the_asset_it_says_how_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(certified.STORE_VARIABLE, str(tmp_path))
    for predict in (OptionPricingPINN().predict, PINNCache(weights=random_weights(1)).predict_with_cache):
        with pytest.raises(WeightsError, match=r"american_weights.*make american"):
            predict(**AT, exercise="american")
    european = PINNCache(weights=random_weights(1)).predict_with_cache(**AT)
    assert european["source"] == "network"  # who prices European options needs no American network


@pytest.mark.usefixtures("forgotten")
def test_only_certified_bytes_are_served(american_quick: AmericanWeights, tmp_path: Path) -> None:
    with pytest.raises(NotCertified):
        publish(tmp_path, random_american(1), passed=False)
    publish(tmp_path, american_quick)
    cache = PINNCache(store=tmp_path)
    assert cache.predict_with_cache(**AT, exercise="american")["source"] == "network"
    certified._loaded.clear()
    for victim in tmp_path.rglob("versions/*.npz"):
        victim.write_bytes(random_american(1).to_bytes())  # behind the store's back
    with pytest.raises(NotCertified):
        PINNCache(store=tmp_path).predict_with_cache(**AT, exercise="american")


@pytest.mark.usefixtures("forgotten")
def test_refresh_takes_up_the_next_version(american_quick: AmericanWeights, tmp_path: Path) -> None:
    publish(tmp_path, american_quick)
    cache = PINNCache(store=tmp_path)
    cache._own_weights = True  # this store holds no European network to refresh
    cache.predict_with_cache(**AT, exercise="american")
    newer = AmericanWeights(american_quick.kernels, american_quick.biases, american_quick.domain, seed=7)
    publish(tmp_path, newer)
    assert cache.american_weights.seed == american_quick.seed
    cache.refresh()
    assert cache.stats.size == 0
    assert cache.american_weights.seed == 7


def test_serving_american_options_imports_neither_tensorflow_nor_quantlib(
    american_quick: AmericanWeights, tmp_path: Path
) -> None:
    publish(tmp_path, american_quick)
    put = "S=100, K=100, q=0.02, option_type='put', exercise='american'"
    calls = [f"cache.predict_with_cache({put}, tau={tau})" for tau in (0.5, 9.0)]
    assert not imported_by_serving(tmp_path, *calls)


def test_artifact_round_trip_is_exact() -> None:
    weights = random_american(3, width=5, depth=3)
    again = AmericanWeights.from_bytes(weights.to_bytes())
    assert isinstance(weights, Artifact)
    assert again.to_bytes() == weights.to_bytes()
    assert (again.domain, again.seed, again.width, again.depth) == (weights.domain, 3, 5, 3)


def test_bytes_of_another_network_are_refused_by_name() -> None:
    with pytest.raises(WeightsError, match=r"kind 'pinn_weights', not 'american_weights'.*make american"):
        AmericanWeights.from_bytes(random_weights(1).to_bytes())
    with pytest.raises(WeightsError, match=r"kind 'american_weights', not 'pinn_weights'.*make pinn"):
        PinnWeights.from_bytes(random_american(1).to_bytes())


@pytest.mark.parametrize("cut", [0, 10, 1000, -1])
def test_truncated_bytes_are_refused(cut: int) -> None:
    with pytest.raises(WeightsError, match="no American weights"):
        AmericanWeights.from_bytes(random_american(1).to_bytes()[:cut])


def test_no_flipped_bit_changes_a_weight() -> None:
    """Zip's checksums guard every array; what they leave open (dates, padding) changes no value."""
    weights = random_american(1, width=4)
    data = weights.to_bytes()
    refused = 0
    for at in range(0, len(data), 7):
        mutated = bytearray(data)
        mutated[at] ^= 1
        try:
            again = AmericanWeights.from_bytes(bytes(mutated))
        except WeightsError as error:
            refused += 1
            assert "American weights" in str(error)  # noqa: PT017  both outcomes are right
        else:
            np.testing.assert_array_equal(again.parameters, weights.parameters)
            assert again.domain == weights.domain
    assert refused > 50
