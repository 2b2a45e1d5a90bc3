"""Is a fit as good as the best that a gate finds itself? Losses are compared, not parameters.

Two honest searches can end far apart where a loss is flat, and a hair apart everywhere. So the product
proposes parameters, and they count if no search made by the gate finds a loss below theirs by more than
`FLAT`. Parameters that are better than what is found here pass: a baseline may be too good, never too bad.
"""

from __future__ import annotations

from ml_assets.gates._verdict import require

__all__ = ["FLAT", "require_least"]

FLAT = 1e-4
"""Nats a day that a proposed fit may lose to the gate's own best, on the days that it was fitted on."""


def require_least(what: str, reached: float, best: float, room: float = FLAT) -> None:
    """Require that a fit's loss a day is at most the best one found here, but for `room`."""
    require(
        reached <= best + room,
        f"{what} as fitted has a loss of {reached:.6f} a day on the known days, {best:.6f} was found",
    )
