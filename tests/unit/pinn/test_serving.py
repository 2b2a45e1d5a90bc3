"""The cache, the batch and the verified read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.pinn import OptionPricingPINN, PINNCache, PinnWeights, QuoteError, WeightsError
from ml_assets.pinn.quotes import GREEKS
from ml_assets.pinn.serving import certified
from ml_assets.storage import ArtifactStore, NotCertified
from tests.pinn_fixtures import ALIAS, imported_by_serving, publish, random_weights

AT = {"S": 100.0, "K": 105.0, "tau": 0.5, "r": 0.03, "sigma": 0.25, "option_type": "put", "q": 0.01}


@pytest.fixture
def cache() -> PINNCache:
    return PINNCache(weights=random_weights(1))


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Networks loaded by a test are not those of the next."""
    certified._loaded.clear()
    yield
    certified._loaded.clear()


def direct(**option: object) -> dict[str, object]:
    model = OptionPricingPINN()
    model.weights = random_weights(1)
    return model.predict(**option)  # type: ignore[arg-type]


@given(
    st.lists(st.sampled_from(list(AT)), min_size=1, unique=True),
    st.floats(0.9, 1.1).filter(lambda f: f != 1.0),
)
def test_every_input_is_in_the_key(names: list[str], factor: float) -> None:
    """A put cached before spot, rate, dividend or volatility moved is not served after."""
    cache = PINNCache(weights=random_weights(1))
    cache.predict_with_cache(**AT)
    moved = dict(AT)
    for name in names:
        moved[name] = "call" if name == "option_type" else AT[name] * factor
    assert cache.predict_with_cache(**moved) == direct(**moved)
    assert cache.stats.hits == 0
    assert cache.predict_with_cache(**AT) == direct(**AT)
    assert cache.stats.hits == 1


def test_result_is_the_callers_own(cache: PINNCache) -> None:
    cache.predict_with_cache(**AT)["price"] = -1.0
    assert cache.predict_with_cache(**AT) == direct(**AT)


def test_bounded_and_least_recently_used_goes_first() -> None:
    cache = PINNCache(weights=random_weights(1), capacity=2)
    for S in (90.0, 100.0, 90.0, 110.0):  # 100 is the least recently used when 110 comes
        cache.predict_with_cache(**{**AT, "S": S})
    assert cache.stats == (1, 3, 2, 2)
    cache.predict_with_cache(**{**AT, "S": 90.0})
    assert cache.stats.hits == 2
    cache.predict_with_cache(**{**AT, "S": 100.0})
    assert cache.stats.misses == 4
    cache.clear()
    assert cache.stats == (0, 0, 0, 2)


def test_failed_quotes_are_not_remembered(cache: PINNCache) -> None:
    for _ in range(2):
        with pytest.raises(QuoteError, match=r"S is -1\.0"):
            cache.predict_with_cache(**{**AT, "S": -1.0})
    assert cache.stats.size == 0


@pytest.mark.parametrize("moved", [{"S": np.array([1.0, 2.0])}, {"option_type": ["call"]}, {"S": None}])
def test_many_options_belong_to_the_batch(cache: PINNCache, moved: dict[str, object]) -> None:
    with pytest.raises(QuoteError, match="batch_predict"):
        cache.predict_with_cache(**{**AT, **moved})  # type: ignore[arg-type]


def test_threads_agree(quick_weights: PinnWeights) -> None:
    cache = PINNCache(weights=quick_weights, capacity=50)
    model = OptionPricingPINN()
    model.weights = quick_weights
    options = [{**AT, "S": 80.0 + i % 97} for i in range(2000)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda option: cache.predict_with_cache(**option), options))
    expected = {S: model.predict(**{**AT, "S": S}) for S in {option["S"] for option in options}}
    assert all(result == expected[option["S"]] for option, result in zip(options, found, strict=True))
    assert cache.stats.hits + cache.stats.misses == 2000
    assert cache.stats.size == 50


def test_batch_forms_agree(cache: PINNCache) -> None:
    options = [{**AT, "S": S, "option_type": kind} for S in (80.0, 100.0, 400.0) for kind in ("call", "put")]
    records = cache.batch_predict(options)
    assert isinstance(records, list)
    assert len(records) == 6
    frame = pd.DataFrame(options, index=list("abcdef"))
    table = cache.batch_predict(frame)
    assert isinstance(table, pd.DataFrame)
    assert list(table.index) == list("abcdef")
    columns = cache.batch_predict({name: frame[name].to_numpy() for name in frame})
    assert isinstance(columns, dict)
    for i, option in enumerate(options):
        one = cache.predict_with_cache(**option)
        for name in GREEKS:
            assert records[i][name] == pytest.approx(one[name], rel=1e-12, abs=1e-300)
            assert table[name].iloc[i] == columns[name][i] == records[i][name]
        assert records[i]["source"] == one["source"]


def test_batch_defaults_and_empty(cache: PINNCache) -> None:
    short, full = {"S": 100.0, "K": 100.0, "tau": 1.0}, {"S": 100.0, "K": 100.0, "tau": 1.0, "sigma": 0.2}
    first, second = cache.batch_predict([short, full])
    assert first == second
    assert cache.batch_predict([]) == []
    (put,) = cache.batch_predict([{**short, "option_type": "put"}])
    parity = first["price"] - put["price"] - (100.0 - 100.0 * math.exp(-0.05))
    assert abs(parity) < 1e-12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([{"S": 1.0, "K": 1.0}], "option 0 lacks tau"),
        (
            [{"S": 1.0, "K": 1.0, "tau": 1.0}, {"S": 1.0, "K": 1.0, "tau": 1.0, "vol": 0.3}],
            "option 1 has unknown vol",
        ),
        ({"S": [1.0], "K": [1.0]}, "the dict of arrays lacks tau"),
        (pd.DataFrame({"S": [1.0], "T": [1.0]}), "the DataFrame lacks K, tau and has unknown T"),
        ([{"S": 1.0, "K": 1.0, "tau": 1.0}, {"S": -5.0, "K": 1.0, "tau": 1.0}], r"S\[1\] is -5.0"),
    ],
)
def test_batch_errors_name_the_option(cache: PINNCache, options: object, message: str) -> None:
    with pytest.raises(QuoteError, match=message):
        cache.batch_predict(options)  # type: ignore[arg-type]


def test_constructor_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="capacity"):
        PINNCache(capacity=0)
    with pytest.raises(ValueError, match="not both"):
        PINNCache(store="x", weights=random_weights(1))


@pytest.mark.usefixtures("forgotten")
def test_empty_store_says_how_to_fill_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match=r"make run.*make pinn.*ML_ASSETS_STORE"):
        PINNCache(store=tmp_path).predict_with_cache(**AT)
    monkeypatch.setenv(certified.STORE_VARIABLE, str(tmp_path / "other"))
    with pytest.raises(WeightsError, match="other"):
        PINNCache().predict_with_cache(**AT)
    monkeypatch.delenv(certified.STORE_VARIABLE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match="var/store"):
        PINNCache().predict_with_cache(**AT)


@pytest.mark.usefixtures("forgotten")
def test_one_network_per_process(pinn_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(certified.STORE_VARIABLE, str(pinn_store))
    with ThreadPoolExecutor(8) as pool:
        networks = list(pool.map(lambda _: PINNCache().weights, range(32)))
    assert len({id(weights) for weights in networks}) == 1


@pytest.mark.usefixtures("forgotten")
def test_only_certified_bytes_are_served(quick_weights: PinnWeights, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    with pytest.raises(NotCertified):  # an untrained network fails its gates, so it is never published
        publish(store, random_weights(1))
    sha256 = publish(store, quick_weights)
    assert PINNCache(store=tmp_path).predict_with_cache(**AT)["source"] == "network"
    certified._loaded.clear()
    (victim,) = tmp_path.rglob(f"versions/{sha256}.npz")
    victim.write_bytes(random_weights(1).to_bytes())  # behind the store's back
    with pytest.raises(NotCertified):
        PINNCache(store=tmp_path).predict_with_cache(**AT)


@pytest.mark.usefixtures("forgotten")
def test_refresh_takes_up_the_next_version(quick_weights: PinnWeights, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    publish(store, quick_weights)
    cache = PINNCache(store=tmp_path)
    cache.predict_with_cache(**AT)
    other = PinnWeights(quick_weights.kernels, quick_weights.biases, quick_weights.domain, seed=99)
    publish(store, other)
    assert cache.weights.seed == quick_weights.seed
    cache.refresh()
    assert cache.weights.seed == 99
    assert cache.stats.size == 0
    assert OptionPricingPINN().load_weights(tmp_path / ALIAS) is None


def test_serving_imports_neither_tensorflow_nor_pandas(pinn_store: Path) -> None:
    single = "cache.predict_with_cache(S=100, K=100, tau=1.0)"
    assert not imported_by_serving(pinn_store, single, "cache.batch_predict([{'S': 1, 'K': 1, 'tau': 1.0}])")


def test_batch_without_greeks_gives_the_price_and_its_source(cache: PINNCache) -> None:
    options = [{**AT, "S": S} for S in (80.0, 100.0, 1e6)]
    alone = cache.batch_predict(options, greeks=False)
    assert isinstance(alone, list)
    for option, result in zip(options, alone, strict=True):
        one = direct(**option)
        assert result == {"price": pytest.approx(one["price"], rel=1e-13), "source": one["source"]}
    model = OptionPricingPINN()
    model.weights = random_weights(1)
    assert model.predict(**AT, greeks=False)["price"] == pytest.approx(direct(**AT)["price"], rel=1e-13)
