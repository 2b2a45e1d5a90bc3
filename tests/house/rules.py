"""The rules of the house, one function each: a tree in, violations out."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from tests.house.tree import PRODUCT, Tree, Violation, imports, within

Rule = Callable[[Tree], Iterator[Violation]]

BACKEND = "ml_assets/training/backend.py"
LABELS = "ml_assets/windows/labels.py"
PRIVATE = "orchestration/gating/_dagster_private.py"
LONGEST = {"ml_assets": 300, "orchestration": 300, "benchmarks": 300, "tests": 400}
LARGEST = 1_000_000
CONFIGURATION = re.compile(
    r"(^|/)([^/]*\.(toml|ya?ml|cfg|ini|lock)|requirements[^/]*\.txt|Makefile|\.ci/.*|\.gitmodules)$"
)
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|anaconda\.org|download\.pytorch\.org|artifactory|[./]nexus[./]|jfrog"
    r"|(?<!no-emit-)\b(extra-)?index-url\b|--find-links|--trusted-host|\[\[tool\.uv\.index\]\]"
)
LOOKS_AHEAD = {"bfill", "backfill", "savgol_filter", "filtfilt", "sosfiltfilt"}


def science_knows_no_wiring(tree: Tree) -> Iterator[Violation]:
    """``ml_assets`` imports neither Dagster nor ``orchestration``."""
    for name in tree.python("ml_assets"):
        for line, module in imports(tree.parsed(name)):
            if within(module, "dagster", "orchestration"):
                remedy = "move what needs it into orchestration/; ml_assets must work from a notebook"
                yield Violation(name, line, f"ml_assets imports {module}", remedy)


def one_door_to_tensorflow(tree: Tree) -> Iterator[Violation]:
    """TensorFlow and Keras are imported in one module, which silences them and is itself imported lazily."""
    for name in tree.python(*PRODUCT):
        for line, module in imports(tree.parsed(name)):
            if within(module, "tensorflow", "keras", "tf_keras") and name != BACKEND:
                remedy = "write `from ml_assets.training.backend import keras, tf`"
                yield Violation(name, line, f"imports {module}", remedy)


def nothing_looks_ahead(tree: Tree) -> Iterator[Violation]:
    """Whatever takes a value from a later day stands in the label module alone."""
    remedy = f"use past rows only; the future belongs to {LABELS}"
    for name in tree.python("ml_assets"):
        if name == LABELS:
            continue
        for node in ast.walk(tree.parsed(name)):
            what = _look_ahead(node)
            if what is not None:
                yield Violation(name, getattr(node, "lineno", 1), what, remedy)


def _look_ahead(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute | ast.Name):
        used = node.attr if isinstance(node, ast.Attribute) else node.id
        return f"{used} fills or filters from later days" if used in LOOKS_AHEAD else None
    if isinstance(node, ast.ImportFrom):
        names = [alias.name for alias in node.names if alias.name in LOOKS_AHEAD]
        return f"{names[0]} fills or filters from later days" if names else None
    if isinstance(node, ast.Call):
        return _centered(node) or _filled_backward(node) or _negative_step(node)
    return None


def _centered(call: ast.Call) -> str | None:
    rolling = isinstance(call.func, ast.Attribute) and call.func.attr == "rolling"
    for keyword in call.keywords:
        value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if keyword.arg == "center" and (value is True or (rolling and value is not False)):
            return "center=True: a centered window sees later days"
    return None


def _filled_backward(call: ast.Call) -> str | None:
    for keyword in call.keywords:
        if isinstance(keyword.value, ast.Constant) and keyword.value.value in {
            "bfill",
            "backfill",
            "backward",
        }:
            return f"{keyword.arg}={keyword.value.value!r} fills from later days"
    return None


def _negative_step(call: ast.Call) -> str | None:
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    position = {"shift": 0, "tshift": 0, "roll": 1, "diff": 0, "pct_change": 0}.get(method)
    if position is None:
        return None
    steps = [*call.args[position : position + 1]]
    steps += [k.value for k in call.keywords if k.arg in {"periods", "shift"}]
    if any(isinstance(s, ast.UnaryOp) and isinstance(s.op, ast.USub) for s in steps):
        return f"{method} by a negative step takes later days"
    return None


def files_fit_in_the_head(tree: Tree) -> Iterator[Violation]:
    """No file is longer than what a reader keeps in mind."""
    for folder, longest in LONGEST.items():
        for name in tree.python(folder):
            lines = len(tree.text(name).splitlines())
            if lines > longest:
                remedy = "cut it where a second subject begins"
                yield Violation(name, longest + 1, f"{lines} lines, {longest} are the limit", remedy)


def public_modules_say_what_is_public(tree: Tree) -> Iterator[Violation]:
    """Every package and public module of the product defines ``__all__``, and all that it names exists."""
    for name in tree.python(*PRODUCT):
        stem = name.rsplit("/", 1)[-1].removesuffix(".py")
        if stem.startswith("_") and stem != "__init__":
            continue
        module = tree.parsed(name)
        if not any(_defines(node, "__all__") for node in module.body):
            yield Violation(name, 1, "no __all__", "list the module's public names in __all__")


def _defines(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.AnnAssign):
        targets: list[ast.expr] = [node.target]
    elif isinstance(node, ast.Assign):
        targets = node.targets
    else:
        return False
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def private_dagster_in_one_file(tree: Tree) -> Iterator[Violation]:
    """Names that Dagster does not promise to keep are imported in one file, each with a characterization."""
    for name in tree.python("orchestration"):
        for line, module in imports(tree.parsed(name)):
            private = re.match(r"dagster(_\w+)?(\.\w+)*\._", module)
            if private and name != PRIVATE:
                remedy = f"import it in {PRIVATE} and characterize it in tests/characterization"
                yield Violation(name, line, f"imports the private {module}", remedy)


def git_holds_no_large_file(tree: Tree) -> Iterator[Violation]:
    """Data and weights belong into the store."""
    for name in tree.files:
        size = (tree.root / name).stat().st_size
        if size > LARGEST:
            remedy = "keep it out of git: fetch or generate it, or add it to .gitignore"
            yield Violation(name, 1, f"{size / 1e6:.1f} MB, 1 MB is the limit", remedy)


def no_registry_is_named(tree: Tree) -> Iterator[Violation]:
    """Lock and configuration name no package registry: who installs chooses it."""
    for name in tree.files:
        if not CONFIGURATION.search(name):
            continue
        for number, line in enumerate(tree.text(name).splitlines(), start=1):
            found = REGISTRY.search(line) or (
                re.search(r"https?://", line) if name.endswith(".lock") else None
            )
            if found:
                remedy = "remove it; pip's own configuration names the registry"
                yield Violation(name, number, f"names a package registry: {found[0]!r}", remedy)


RULES: tuple[Rule, ...] = (
    science_knows_no_wiring,
    one_door_to_tensorflow,
    nothing_looks_ahead,
    files_fit_in_the_head,
    public_modules_say_what_is_public,
    private_dagster_in_one_file,
    git_holds_no_large_file,
    no_registry_is_named,
)
