"""One partition per stock symbol, added when its prices appear."""

from __future__ import annotations

import dagster as dg

__all__ = ["SYMBOLS"]

SYMBOLS = dg.DynamicPartitionsDefinition(name="symbols")
