"""Prices: sources, layouts, cleaning and restatements.

Start with :func:`open_source`; ``docs/PRICES.md`` holds the rules.
"""

from ml_assets.prices.cleaning import CleaningRules, clean_prices
from ml_assets.prices.errors import PriceFileError, PriceSourceError, Problem
from ml_assets.prices.history import PriceHistory
from ml_assets.prices.layouts.hint import LayoutHint
from ml_assets.prices.layouts.read import read_price_file
from ml_assets.prices.raw import RawPrices
from ml_assets.prices.report import CleaningReport, Tally
from ml_assets.prices.restatement import compare_histories
from ml_assets.prices.sources import open_source
from ml_assets.prices.table_source import PriceSource

__all__ = [
    "CleaningReport",
    "CleaningRules",
    "LayoutHint",
    "PriceFileError",
    "PriceHistory",
    "PriceSource",
    "PriceSourceError",
    "Problem",
    "RawPrices",
    "Tally",
    "clean_prices",
    "compare_histories",
    "open_source",
    "read_price_file",
]
