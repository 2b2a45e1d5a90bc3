"""How option gates name what they found."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.quotes import Quotes

__all__ = ["in_words", "worst"]


def in_words(quotes: Quotes, i: int) -> str:
    """One option in words."""
    kind = "call" if quotes.is_call[i] else "put"
    return (
        f"{kind} S={quotes.S[i]:.6g} K={quotes.K[i]:.6g} tau={quotes.tau[i]:.6g} r={quotes.r[i]:.4g} "
        f"sigma={quotes.sigma[i]:.4g} q={quotes.q[i]:.4g}"
    )


def worst(error: npt.NDArray[np.float64]) -> int:
    """Index of the largest error; NaN counts as the largest."""
    return int(np.argmax(np.where(np.isnan(error), np.inf, error)))
