"""Tables of gates and settings in README and docs, made from the code: ``python -m orchestration.catalogue``.

A table stands between ``<!-- made: KIND NAMES -->`` and ``<!-- end -->``. Its kind is ``overview`` (every
asset's gates by name), ``gates`` (what those of the named assets demand, or of all) or ``settings``. A test
fails when a page is not what this command would write.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic_core import PydanticUndefined

from orchestration.definitions import ASSETS
from orchestration.settings import Settings

__all__ = ["main", "pages", "render"]

_BLOCK = re.compile(r"(<!-- made: (\w+) ?([\w ]*) -->\n).*?(<!-- end -->)", re.DOTALL)
_LIMITS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def pages(root: Path) -> list[Path]:
    """README and docs of a checkout."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def render(page: str) -> str:
    """Write every table of a page anew.

    Raises
    ------
    KeyError
        If a page asks for a kind of table, or an asset, that there is not.
    """

    def block(match: re.Match[str]) -> str:
        head, kind, names, end = match.groups()
        return head + "\n".join(_TABLES[kind](names.split())) + "\n" + end

    return _BLOCK.sub(block, page)


def _overview(_: Sequence[str]) -> Iterator[str]:
    yield from ("| asset | gates that its value must pass before it is published |", "|---|---|")
    for asset, gates in _gates().items():
        yield f"| `{asset}` | {', '.join(spec.name for spec in gates)} |"


def _gates_of(names: Sequence[str]) -> Iterator[str]:
    gates = _gates()
    yield from ("| asset | gate | what it demands |", "|---|---|---|")
    for asset in names or gates:
        for spec in gates[asset]:
            yield f"| `{asset}` | `{spec.name}` | {spec.description} |"


def _gates() -> dict[str, list[dg.AssetCheckSpec]]:
    return {asset.key.to_user_string(): list(asset.check_specs) for asset in ASSETS}


def _settings(_: Sequence[str]) -> Iterator[str]:
    yield from ("| setting | default | limits | |", "|---|---|---|---|")
    for name, field in Settings.model_fields.items():
        limits = (
            f"{sign} {getattr(m, key)}"
            for m in field.metadata
            for key, sign in _LIMITS.items()
            if hasattr(m, key)
        )
        yield f"| `{name}` | {_default(field.default)} | {', '.join(limits)} | {field.description} |"


def _default(value: Any) -> str:
    if value is None or value is PydanticUndefined or value == ():
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{', '.join(map(str, value)) if isinstance(value, tuple) else value}`"


_TABLES = {"overview": _overview, "gates": _gates_of, "settings": _settings}


def main() -> int:
    """Rewrite the tables of the checkout in the working folder; name the pages that changed."""
    for path in pages(Path.cwd()):
        before = path.read_text(encoding="utf-8")
        after = render(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"renewed {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
