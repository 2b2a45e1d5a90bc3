"""The gates of what is forecast: of the weights and of the report of each target.

Assets, mutants and docs take these lists. A check that holds for any target is in
:mod:`ml_assets.gates.forecasts.report`; what recomputes figures is each target's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.forecasts.variance import VarianceSet, VolatilityReport, VolatilityWeights
from ml_assets.gates._verdict import all_pass
from ml_assets.gates.core import Gate, GateResult
from ml_assets.gates.forecasts.direction_figures import direction_figures
from ml_assets.gates.forecasts.direction_folds import DirectionEvidence, folds_sealed
from ml_assets.gates.forecasts.report import (
    Known,
    ReportEvidence,
    attempts_counted,
    every_test_day_scored,
    folds_recorded,
    predictions_reproduced,
)
from ml_assets.gates.forecasts.variance_figures import variance_figures
from ml_assets.gates.forecasts.variance_rows import (
    horizons_purged,
    variance_learned,
    variance_oracle,
    variance_reload,
)
from ml_assets.gates.forecasts.variance_start import Rebuild, start_causal, start_recomputed
from ml_assets.gates.models.pooling import base_before_validation
from ml_assets.gates.models.training import (
    learned,
    training_rows_only,
    weights_finite_and_complete,
    weights_reload,
)
from ml_assets.mamba import MambaBaseWeights, MambaWeights
from ml_assets.prices import PriceHistory
from ml_assets.windows.augmented_set import AugmentedSet
from ml_assets.windows.sequence_set import SequenceSet

__all__ = [
    "DIRECTION_REPORT_GATES",
    "DIRECTION_WEIGHT_GATES",
    "VARIANCE_REPORT_GATES",
    "VARIANCE_WEIGHT_GATES",
    "DirectionEvidence",
    "DirectionWeightEvidence",
    "VarianceEvidence",
    "VarianceWeightEvidence",
]


@dataclass(frozen=True)
class DirectionWeightEvidence:
    """What weights of direction are judged by: the rows trained on, and the base model read, if any."""

    rows: AugmentedSet
    base: MambaBaseWeights | None


@dataclass(frozen=True)
class VarianceWeightEvidence:
    """What weights of variance are judged by.

    Parameters
    ----------
    lineage : callable
        ``() -> GateResult`` on the certificates of prices and sequences.
    prices, sequences
        The certified inputs.
    rows : VarianceSet
        What the model was trained on.
    rebuild : callable
        ``(sequences, closes) -> VarianceSet``: the code that derived the rows.
    seed : int
        Of redrawn days.
    """

    lineage: Callable[[], GateResult]
    prices: PriceHistory
    sequences: SequenceSet
    rows: VarianceSet
    rebuild: Rebuild
    seed: int = 0


@dataclass(frozen=True)
class VarianceEvidence(ReportEvidence):
    """What a variance report is judged by: further, the rows that the model of each fold was trained on."""

    rows: Sequence[VarianceSet]

    @property
    def known(self) -> list[Known]:
        """What the model of each fold knew."""
        return [Known(len(of.train), of.trained_until, of.known_until) for of in self.rows]


_EVERY_DAY = "every_test_day_scored"
# The same for every target.
_FINITE: Gate[Any, Any] = Gate(
    "finite_and_complete",
    "Every weight exists, has its shape, is finite and was trained.",
    lambda w, _: weights_finite_and_complete(w),
)
_ONE_LINEAGE: Gate[Any, Any] = Gate(
    "one_lineage",
    "The weights were trained on the split that they are scored on, of the same prices.",
    lambda _, e: e.lineage(),
)
_ATTEMPTS_COUNTED: Gate[Any, Any] = Gate(
    "attempts_counted",
    "How often these days have been tried is what the store says.",
    lambda r, e: attempts_counted(r, e.earlier),
)

DIRECTION_WEIGHT_GATES: tuple[Gate[MambaWeights, DirectionWeightEvidence], ...] = (
    _FINITE,
    Gate(
        "reload",
        "A fresh model from the stored bytes predicts bit for bit the same.",
        lambda w, e: weights_reload(w.to_bytes(), e.rows),
    ),
    Gate(
        "training_rows_only",
        "Trained on exactly the certified set that was read.",
        lambda w, e: training_rows_only(w, e.rows),
    ),
    Gate(
        "base_before_validation",
        "A base model, if any, knows no day of this symbol's validation or later.",
        lambda w, e: base_before_validation(w, e.rows, e.base),
    ),
    Gate(
        "learned",
        "Validation loss is finite and no worse than before training.",
        lambda w, e: learned(w, e.rows),
    ),
)
"""Gates of ``mamba_weights``."""

VARIANCE_WEIGHT_GATES: tuple[Gate[VolatilityWeights, VarianceWeightEvidence], ...] = (
    Gate(
        "one_lineage",
        "The sequences were split from the very prices whose variance is the label.",
        lambda _, e: e.lineage(),
    ),
    Gate(
        "oracle",
        "Labels equal an independent recomputation from the raw closes.",
        lambda _, e: variance_oracle(e.prices, e.rows),
    ),
    Gate(
        "ledger",
        "No label of one part, at the longest horizon, reaches a window of the part after.",
        lambda _, e: horizons_purged(e.sequences, e.rows),
    ),
    Gate(
        "non_interference",
        "Bit-equal rows and start when the prices after each part are redrawn.",
        lambda _, e: start_causal(e.prices, e.sequences, e.rows, e.rebuild, seed=e.seed),
    ),
    Gate(
        "start_recomputed",
        "Every start value again from raw closes; no better fit on the training days.",
        lambda _, e: start_recomputed(e.prices, e.rows),
    ),
    _FINITE,
    Gate(
        "reload",
        "A fresh model from the stored bytes answers bit for bit the same; trained on these rows.",
        lambda w, e: variance_reload(w.to_bytes(), e.rows),
    ),
    Gate(
        "learned",
        "Validation loss is finite and no worse than that of the start.",
        lambda w, e: variance_learned(w, e.rows),
    ),
)
"""Gates of ``volatility_weights``."""

DIRECTION_REPORT_GATES: tuple[Gate[WalkForwardReport, DirectionEvidence], ...] = (
    _ONE_LINEAGE,
    Gate(
        "folds_sealed",
        "Each fold equals what the prices up to it give; training ends before its test days.",
        lambda r, e: folds_sealed(e, r),
    ),
    Gate(
        _EVERY_DAY,
        "One prediction per sealed day, none dropped, none added.",
        lambda r, e: every_test_day_scored(e.prices, e.sequences, e.horizons, r, overlapping=False),
    ),
    Gate(
        "figures_recomputed",
        "Outcomes, accuracy, baselines and p-value derived again from the raw closes.",
        lambda r, e: direction_figures(e.prices, e.folds, r),
    ),
    Gate(
        "predictions_reproduced",
        "Certified weights, and a fold trained again, give the very probabilities.",
        lambda r, e: predictions_reproduced(e, r),
    ),
    _ATTEMPTS_COUNTED,
)
"""Gates of ``walk_forward_report``."""

VARIANCE_REPORT_GATES: tuple[Gate[VolatilityReport, VarianceEvidence], ...] = (
    _ONE_LINEAGE,
    Gate(
        "oracle",
        "Labels of every fold equal an independent recomputation from the raw closes.",
        lambda _, e: all_pass("oracle", [variance_oracle(e.prices, of) for of in e.rows]),
    ),
    Gate(
        "ledger",
        "In every fold, labels of one part end before the part after begins to read.",
        lambda _, e: all_pass("ledger", [horizons_purged(*p) for p in zip(e.folds, e.rows, strict=True)]),
    ),
    Gate(
        "start_recomputed",
        "The start of every fold likewise, from the raw closes.",
        lambda _, e: all_pass("start_recomputed", [start_recomputed(e.prices, of) for of in e.rows]),
    ),
    Gate(
        "folds_sealed",
        "What each fold's model knew ends before its test windows begin.",
        lambda r, e: folds_recorded(e.folds, e.known, r),
    ),
    Gate(
        _EVERY_DAY,
        "One forecast per sealed day and horizon, none dropped, none added.",
        lambda r, e: every_test_day_scored(e.prices, e.sequences, e.horizons, r, overlapping=True),
    ),
    Gate(
        "figures_recomputed",
        "Outcomes, losses, baselines and p-values derived again from the raw prices.",
        lambda r, e: variance_figures(e.prices, e.folds, r),
    ),
    Gate(
        "predictions_reproduced",
        "Certified weights, a fold trained again and the champion say the same.",
        lambda r, e: predictions_reproduced(e, r),
    ),
    _ATTEMPTS_COUNTED,
)
"""Gates of ``volatility_report``."""
