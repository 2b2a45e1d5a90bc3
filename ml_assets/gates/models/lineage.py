"""Gate on what a score is computed from: one history, split once, trained on and scored."""

from __future__ import annotations

from collections.abc import Sequence

from ml_assets.forecasts.controls import CONTROLS
from ml_assets.gates.core import GateResult
from ml_assets.storage import ArtifactStore, Certificate, NotCertified, follow_input, input_key

__all__ = ["median_lineage", "one_lineage", "relative_lineage", "variance_lineage"]


def one_lineage(
    store: ArtifactStore, prices: Certificate, sequences: Certificate, weights: Certificate
) -> GateResult:
    """Require that the model was trained on the training rows of the very split whose sealed days it scores.

    Each input has passed its own gates, yet together they can leak: split again with a longer test span
    and keep the old weights, and most sealed days are days that those weights were trained on.

    Parameters
    ----------
    store
        Where the set that the weights were trained on is looked up, by its version.
    prices, sequences, weights
        Certificates of the versions read.
    """
    name, symbol = "one_lineage", str(weights.partition)
    try:
        trained_on = follow_input(store, weights, "augmented_training_set", symbol)
    except NotCertified as error:
        return GateResult(name, False, f"what the weights were trained on is not known: {error}", 1)
    split, history = input_key("split_sequences", symbol), input_key("raw_prices", symbol)
    pairs = (
        (f"trained on {split}", trained_on.inputs.get(split), sequences.sha256),
        (f"split from {history}", sequences.inputs.get(history), prices.sha256),
    )
    for what, found, scored in pairs:
        if found != scored:
            message = (
                f"{what} version {str(found)[:12]}, but scored with version {scored[:12]}: a sealed day may "
                f"be one that the model was trained on. Materialize all assets of {symbol} again, in one run"
            )
            return GateResult(name, False, message, len(pairs))
    return GateResult(name, True, "trained and scored on one split of one history", len(pairs))


def variance_lineage(
    prices: Certificate, sequences: Certificate, weights: Certificate | None = None
) -> GateResult:
    """Require that sequences, and weights if given, were made from the prices that are forecast.

    Parameters
    ----------
    prices, sequences : Certificate
        Of the versions read.
    weights : Certificate, optional
        Of a variance model that is to be scored.
    """
    symbol = str(sequences.partition)
    history, split = input_key("raw_prices", symbol), input_key("split_sequences", symbol)
    pairs = [(f"{split} made from {history}", sequences.inputs.get(history), prices.sha256)]
    if weights is not None:
        pairs += [
            (f"weights trained on {history}", weights.inputs.get(history), prices.sha256),
            (f"weights trained on {split}", weights.inputs.get(split), sequences.sha256),
        ]
    return _same_versions(symbol, pairs, f"one history of {symbol}, split once")


def median_lineage(prices: Certificate, median: Certificate) -> GateResult:
    """Require that the fleet's median was taken of the prices that are labelled; a control is no member."""
    symbol = str(prices.partition)
    if symbol in CONTROLS:
        return GateResult("one_lineage", True, f"{symbol} is a control: it is no member of the fleet", 1)
    history = input_key("raw_prices", symbol)
    pairs = [(f"median taken of {history}", median.inputs.get(history), prices.sha256)]
    return _same_versions(symbol, pairs, "the fleet's median was taken of these prices")


def relative_lineage(prices: Certificate, sequences: Certificate, weights: Certificate) -> GateResult:
    """Require that the model was trained on the relative sequences that are scored, of the prices read."""
    symbol = str(sequences.partition)
    history, rows = input_key("raw_prices", symbol), input_key("relative_sequences", symbol)
    pairs = [
        (f"{rows} made from {history}", sequences.inputs.get(history), prices.sha256),
        (f"weights trained on {rows}", weights.inputs.get(rows), sequences.sha256),
    ]
    return _same_versions(symbol, pairs, f"one history of {symbol}, split and labelled once")


def _same_versions(symbol: str, pairs: Sequence[tuple[str, str | None, str]], passed: str) -> GateResult:
    for what, found, read in pairs:
        if found != read:
            message = (
                f"{what} version {str(found)[:12]}, but version {read[:12]} was read: a sealed day may be "
                "one that "
                f"the model was trained on. Materialize all assets of {symbol} again, in one run"
            )
            return GateResult("one_lineage", False, message, len(pairs))
    return GateResult("one_lineage", True, passed, len(pairs))
