"""Gates: pure functions, artifacts in, a `GateResult` out; orchestration only runs and shows them.

One module per gate. Here are the gates on data; those on weights, options and reports are imported from
their modules.
"""

from __future__ import annotations

from ml_assets.gates.core import GateResult
from ml_assets.gates.data.augmented_ledger import augmented_ledger
from ml_assets.gates.data.causal import causal
from ml_assets.gates.data.ledger import ledger
from ml_assets.gates.data.non_interference import augmented_non_interference, non_interference
from ml_assets.gates.data.oracle import oracle
from ml_assets.gates.data.scale import scale

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
