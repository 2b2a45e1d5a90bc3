"""``python -m tests.house``: check the rules of the house; exit 1 if one is broken."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.house.rules import RULES
from tests.house.tree import Tree


def main(root: Path) -> int:
    """Print every violation; returns the exit status."""
    tree = Tree.at(root)
    violations = sorted({str(found) for rule in RULES for found in rule(tree)})
    for violation in violations:
        print(violation)
    if violations:
        print(f"{len(violations)} violations of the house rules (tests/house/rules.py)")
        return 1
    print(f"house rules: {len(RULES)} hold in {len(tree.files)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2]))
