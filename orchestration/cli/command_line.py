"""The command ``gated-mamba``: run the graph, open the UI."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestration.settings import Settings

__all__ = ["main"]

_WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _prepare_libraries()
    from orchestration.settings import Settings  # imports NumPy

    try:
        settings = Settings()
    except ValueError as error:  # of pydantic, of its settings sources, or of TOML
        print(f"settings are wrong; correct ML_ASSETS_* or settings.toml:\n{error}", file=sys.stderr)
        return 2
    os.environ["ML_ASSETS_STORE"] = settings.store_url  # the price server reads it, too
    if options.command == "ui":
        return _ui(settings)
    logging.getLogger("ml_assets.storage").setLevel(logging.ERROR)  # the closing table names what was refused
    from orchestration.cli.commands import (  # imports Dagster: not for --help
        roll_back,
        run_all,
        run_beside,
        run_quotes,
        train_american,
        train_options,
    )
    from orchestration.fleet.steps import PLANS

    try:
        if options.command == "options":
            return train_options(settings)
        if options.command == "quotes":
            return run_quotes(settings)
        if options.command == "american":
            return train_american(settings)
        for plan in PLANS:
            if options.command == plan.command:
                return run_beside(settings, plan, every_symbol=options.all, anew=options.anew)
        if options.command == "rollback":
            return roll_back(settings, options.version)
        return run_all(settings, every_symbol=options.all, anew=options.anew)
    except KeyboardInterrupt:
        print("stopped; what has passed its gates stays, the next run goes on from there", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gated-mamba", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="materialize the whole graph and print the verdicts")
    variance = commands.add_parser("volatility", help="forecast variance and print the verdicts")
    relative = commands.add_parser(
        "relative", help="forecast who will do better than the fleet's median stock; print the verdicts"
    )
    for fleet in (run, variance, relative):
        fleet.add_argument(
            "--all", action="store_true", help="all symbols of the source, not the default few"
        )
        fleet.add_argument(
            "--anew", action="store_true", help="make everything again, also what a stopped run has certified"
        )
    commands.add_parser("options", help="train the option network only")
    commands.add_parser(
        "quotes", help="walk forward over option quotes: ML_ASSETS_OPTIONS, else simulated ones"
    )
    commands.add_parser("american", help="train the network for American options (minutes)")
    rollback = commands.add_parser("rollback", help="serve an earlier release again")
    rollback.add_argument("version", nargs="?", help="beginning of its hash; else the one before the current")
    commands.add_parser("ui", help="open the Dagster UI on the same instance")
    return parser


def _prepare_libraries() -> None:
    """Set what libraries read from the environment at their first import, here and in child processes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow is chatty
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process per core: threads of NumPy would only compete
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # else the first of them takes all of a GPU


def _ui(settings: Settings) -> int:
    from orchestration.instance import open_instance

    open_instance(settings).dispose()
    # Dagster advises its newer `dg dev`, which needs a project layout of its own.
    command = [sys.executable, "-W", "ignore:Function `dev_command`", "-m", "dagster", "dev"]
    where = ["-w", str(_WORKSPACE)] if _WORKSPACE.exists() else ["-m", "orchestration.definitions"]
    os.execv(sys.executable, [*command, *where])
