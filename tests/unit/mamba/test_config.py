import dataclasses
import json

import pytest

from ml_assets.mamba import MambaConfig, TrainingRecipe


def test_defaults_are_the_recipe_that_learned_best():
    config = MambaConfig()
    assert (config.d_model, config.n_blocks, config.d_state, config.d_conv, config.expand) == (
        32,
        1,
        16,
        4,
        2,
    )
    assert (config.head_dim, config.n_heads) == (32, 2)
    assert MambaConfig(d_model=8).head_dim == 8
    assert (config.variant, config.dropout, config.linear_skip, config.return_head) == (
        "ssd",
        0.1,
        True,
        True,
    )
    assert (config.d_inner, config.n_heads, config.dt_rank, config.outputs) == (64, 2, 2, 2)


@pytest.mark.parametrize(
    "value",
    [MambaConfig(), MambaConfig(d_model=8, variant="mamba1", return_head=False), TrainingRecipe(epochs=3)],
)
def test_json_round_trip_is_exact(value):
    assert type(value).from_json(value.to_json()) == value
    assert type(value).from_dict(value.to_dict()) == value
    assert json.loads(value.to_json()) == value.to_dict()


@pytest.mark.parametrize("cls", [MambaConfig, TrainingRecipe])
def test_unknown_field_is_refused_by_name(cls):
    with pytest.raises(ValueError, match="no field d_modle"):
        cls.from_dict({"d_modle": 16})


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"d_model": 0}, "d_model is 0"),
        ({"d_state": 1.5}, "d_state is 1.5"),
        ({"n_blocks": True}, "n_blocks is True"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"variant": "mamba3"}, "'ssd' or 'mamba1'"),
        ({"head_dim": 5}, "head_dim 5 does not divide the inner width 64"),
    ],
)
def test_config_says_what_to_give(values, match):
    with pytest.raises(ValueError, match=match):
        MambaConfig(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 0}, {"stride": -1}, {"burn_in": -1}, {"max_restarts": -1}, {"learning_rate": 0.0},
        {"learning_rate": float("nan")}, {"clip_norm": float("inf")}, {"weight_decay": -1.0},
    ],
)  # fmt: skip
def test_recipe_says_what_to_give(values):
    with pytest.raises(ValueError, match="give"):
        TrainingRecipe(**values)


def test_values_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MambaConfig().d_model = 3  # type: ignore[misc]
