"""What a symbol's runs were about decides whose attempt it was."""

from __future__ import annotations

import dagster as dg
import pytest

from ml_assets.forecasts.targets import DIRECTION, RELATIVE, VARIANCE
from orchestration.fleet.state import attempted
from orchestration.partitions import PARTITION, tried_elsewhere

VOLATILITY = frozenset({dg.AssetKey("volatility_weights")})


@pytest.mark.parametrize(
    ("runs", "variance", "direction"),
    [
        ([], False, False),
        ([("volatility_pipeline", None)], True, False),
        ([("volatility_pipeline", None), ("drift_check", None)], True, False),
        ([("volatility_pipeline", None), ("volatility_drift_check", None)], True, False),
        ([("symbol_pipeline", None)], False, True),
        ([("symbol_pipeline", None), ("volatility_pipeline", None)], False, False),
        ([("__ASSET_JOB", VOLATILITY)], False, False),  # by hand: in doubt, an attempt at either
        ([("__ASSET_JOB", frozenset({dg.AssetKey("raw_prices")}))], False, True),
    ],
)
def test_a_symbol_counts_as_an_attempt_only_where_it_was_tried(
    runs: list[tuple[str, frozenset[dg.AssetKey] | None]], variance: bool, direction: bool
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for job, selection in runs:
            run = dg.DagsterRun(
                job, asset_selection=selection, tags={PARTITION: "AAPL"}, status=dg.DagsterRunStatus.SUCCESS
            )
            instance.add_run(run)
        assert tried_elsewhere(instance, DIRECTION, "AAPL") is variance
        assert tried_elsewhere(instance, VARIANCE, "AAPL") is direction
        assert tried_elsewhere(instance, RELATIVE, "AAPL") is bool(runs)
        assert attempted(instance, ["AAPL"]) == ({"AAPL"} if runs and not variance else set())
