"""The layouts in which vendors write prices, recognized by looking at the file."""

from ml_assets.prices.layouts.filenames import symbol_of_file
from ml_assets.prices.layouts.files import NOT_READ, data_files
from ml_assets.prices.layouts.grid import grid_of_frame
from ml_assets.prices.layouts.hint import HINT_FILE, LayoutHint, hint_for, read_hints
from ml_assets.prices.layouts.read import grid_of_bytes, read_price_file
from ml_assets.prices.layouts.shapes import ParsedFile, parse_grid

__all__ = [
    "HINT_FILE",
    "NOT_READ",
    "LayoutHint",
    "ParsedFile",
    "data_files",
    "grid_of_bytes",
    "grid_of_frame",
    "hint_for",
    "parse_grid",
    "read_hints",
    "read_price_file",
    "symbol_of_file",
]
