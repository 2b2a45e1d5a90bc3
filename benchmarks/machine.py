"""Say on what a figure was measured."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["described"]


def described() -> str:
    """Processor, cores, load and versions, in one sentence."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in _lines(info) if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{processor}, {os.cpu_count()} cores{load}, Python {platform.python_version()}."


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
