"""Where chains come from: a folder of the user's files, or the simulator."""

from __future__ import annotations

from pathlib import Path

from ml_assets.chains.chains import OptionChains
from ml_assets.chains.reading import ChainRows, read_chain_file
from ml_assets.chains.simulated import SimulatedMarket, simulate_chains
from ml_assets.prices.errors import PriceFileError, PriceSourceError
from ml_assets.prices.layouts.files import data_files

__all__ = ["SIMULATED", "load_chains", "open_chains"]

SIMULATED = "simulated"
"""Name of the simulator among the sources."""


def open_chains(spec: str, *, seed: int = 0) -> OptionChains:
    """Load the chains that a setting names.

    Parameters
    ----------
    spec : str
        ``'simulated'``, or a folder or file.
    seed : int
        Of the simulator.

    Raises
    ------
    PriceSourceError
        If there is nothing usable.
    """
    if spec == SIMULATED:
        return simulate_chains(SimulatedMarket(seed=seed))
    return load_chains(Path(spec).expanduser())


def load_chains(path: Path) -> OptionChains:
    """Read every file of a folder (with its subfolders), or one file.

    A file that cannot be used does not stop the others; its error stands among the notes of the report. The
    folder's ``layout_hints.json`` corrects wrong guesses, see :class:`ml_assets.prices.LayoutHint`.

    Raises
    ------
    PriceSourceError
        If the path does not exist or holds no quote that can be used, with the error of the first file.
    """
    if not path.exists():
        raise PriceSourceError(
            f"the folder of option quotes {path} does not exist; create it or correct ML_ASSETS_OPTIONS"
        )
    parts: list[ChainRows] = []
    refused: list[PriceFileError] = []
    for file, name, hint in data_files(path):
        try:
            parts += read_chain_file(file, name, hint)
        except PriceFileError as error:
            refused.append(error)
    if not parts:
        found = f"; the first of {len(refused)} refused files: {refused[0]}" if refused else ""
        raise PriceSourceError(f"{path} holds no option quotes{found}")
    chains = OptionChains.from_rows(parts, str(path), notes=[f"refused: {error}" for error in refused])
    if chains.quotes.empty:
        raise PriceSourceError(f"{path} holds no usable quote: {chains.report.summary()}")
    return chains
