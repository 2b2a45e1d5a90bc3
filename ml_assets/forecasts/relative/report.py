"""Reports of relative direction: scored as those of direction are; outcomes are relative returns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ml_assets.forecasts.direction.report import DIRECTION_SCORING, WalkForwardReport

__all__ = ["RELATIVE_SCORING", "RelativeReport"]


@dataclass(frozen=True)
class RelativeReport(WalkForwardReport):
    """Sealed forecasts: probabilities to do better than the median stock, and the relative returns after."""

    kind: ClassVar[str] = "relative_report"


RELATIVE_SCORING = replace(DIRECTION_SCORING, report=RelativeReport)
