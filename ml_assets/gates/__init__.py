"""Gates: pure functions, artifacts in, a `GateResult` out; orchestration only runs and shows them.

One module per gate. Here are the gates on data; those on weights, options and reports are imported from
their modules.
"""

from __future__ import annotations

from ml_assets.gates.augmented_ledger import augmented_ledger
from ml_assets.gates.causal import causal
from ml_assets.gates.ledger import ledger
from ml_assets.gates.non_interference import augmented_non_interference, non_interference
from ml_assets.gates.oracle import oracle
from ml_assets.gates.result import GateResult
from ml_assets.gates.scale import scale

__all__ = [
    "GateResult",
    "augmented_ledger",
    "augmented_non_interference",
    "causal",
    "ledger",
    "non_interference",
    "oracle",
    "scale",
]
