"""``python -m orchestration.cli``."""

import sys

from orchestration.cli.command_line import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
