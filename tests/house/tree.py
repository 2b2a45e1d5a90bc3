"""The files that the house rules look at."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from pathlib import Path

PRODUCT = ("ml_assets", "orchestration")


@dataclass(frozen=True)
class Violation:
    """Where a rule is broken, what is wrong there and what to do instead."""

    path: str
    line: int
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}; {self.remedy}"


@dataclass(frozen=True)
class Tree:
    """A checkout: its root and the files that git has or would take, relative to it."""

    root: Path
    files: tuple[str, ...]

    @classmethod
    def at(cls, root: Path) -> Tree:
        """Ask git for the files; where there is no git, take all."""
        if (root / ".git").exists():
            command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
            done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
            found = [name for name in done.stdout.split("\0") if name and (root / name).is_file()]
        else:
            found = [p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()]
        return cls(root, tuple(sorted(set(found))))

    def python(self, *folders: str) -> list[str]:
        """Python files under the folders."""
        prefixes = tuple(f"{folder}/" for folder in folders)
        return [name for name in self.files if name.endswith(".py") and name.startswith(prefixes)]

    def text(self, name: str) -> str:
        """Content of a file."""
        return (self.root / name).read_text(encoding="utf-8")

    def parsed(self, name: str) -> ast.Module:
        """Syntax tree of a Python file."""
        return ast.parse(self.text(name), filename=name)


def imports(module: ast.Module) -> list[tuple[int, str]]:
    """List line and full name of everything imported in a module, ``import_module("x")`` included."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"} and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.append((node.lineno, first.value))
    return found


def within(name: str, *packages: str) -> bool:
    """Tell whether a dotted name is one of the packages or lies in one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
