"""The command ``gated-mamba``: `command_line` reads the arguments, `commands` does the work."""

from orchestration.cli.command_line import main

__all__ = ["main"]
