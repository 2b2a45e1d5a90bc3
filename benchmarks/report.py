"""Write docs/MAMBA_BENCHMARKS.md: both tables, the targets and the noise, from one run.

.venv/bin/pip install -e '.[benchmarks]'
make benchmarks
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["main"]

PAGE = Path(__file__).parents[1] / "docs" / "MAMBA_BENCHMARKS.md"
PARTS = {
    "Speed": ("mamba_speed", "Training step and one-window forward pass, batch 128, one core, one process."),
    "Learning": ("mamba_learning", "Simulated markets whose best possible accuracy is known."),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=PAGE)
    output = parser.parse_args().output
    made = datetime.now(UTC).date()
    lines = ["# Mamba: speed and learning", "", f"Written by `make benchmarks` on {made}; do not edit.", ""]
    with tempfile.TemporaryDirectory() as folder:
        for title, (module, text) in PARTS.items():  # one after the other: each wants the core for itself
            path = Path(folder) / module
            command = [sys.executable, "-m", f"benchmarks.{module}", "--output", str(path)]
            subprocess.run(command, check=True)
            lines += [
                f"## {title}",
                "",
                f"{text} Alone: `python -m benchmarks.{module}`.",
                "",
                path.read_text(),
            ]
    output.write_text("\n".join(lines))
    print(f"written to {output}")


if __name__ == "__main__":
    main()
