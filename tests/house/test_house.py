"""The tree keeps the rules, and each rule fires when it is broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.rules import RULES, Rule
from tests.house.tree import Tree

ROOT = Path(__file__).parents[2]
ALL = "__all__: list[str] = []\n"
# Rule, file to plant, its content.
BROKEN = [
    ("science_knows_no_wiring", "ml_assets/a.py", "import dagster as dg"),
    ("science_knows_no_wiring", "ml_assets/a.py", "def f():\n    from orchestration.gating import Gate"),
    ("science_knows_no_wiring", "ml_assets/a.py", "import importlib\nimportlib.import_module('dagster')"),
    ("one_door_to_tensorflow", "ml_assets/a.py", "import tensorflow as tf"),
    ("one_door_to_tensorflow", "ml_assets/deep/a.py", "def f():\n    from keras import ops"),
    ("one_door_to_tensorflow", "orchestration/a.py", "import keras.ops"),
    ("nothing_looks_ahead", "ml_assets/a.py", "prices.bfill()"),
    ("nothing_looks_ahead", "ml_assets/a.py", "prices.fillna(method='bfill')"),
    ("nothing_looks_ahead", "ml_assets/a.py", "prices.interpolate(limit_direction='backward')"),
    ("nothing_looks_ahead", "ml_assets/a.py", "prices.rolling(5, center=True).mean()"),
    ("nothing_looks_ahead", "ml_assets/a.py", "prices.rolling(5, center=flag).mean()"),
    ("nothing_looks_ahead", "ml_assets/a.py", "prices.shift(-1)"),
    ("nothing_looks_ahead", "ml_assets/a.py", "prices.shift(periods=-horizon)"),
    ("nothing_looks_ahead", "ml_assets/a.py", "np.roll(prices, -1)"),
    ("nothing_looks_ahead", "ml_assets/a.py", "from scipy.signal import savgol_filter"),
    ("nothing_looks_ahead", "ml_assets/a.py", "scipy.signal.filtfilt(b, a, x)"),
    ("files_fit_in_the_head", "ml_assets/a.py", "x = 1\n" * 301),
    ("files_fit_in_the_head", "orchestration/a.py", "x = 1\n" * 301),
    ("files_fit_in_the_head", "tests/a.py", "x = 1\n" * 401),
    ("public_modules_say_what_is_public", "ml_assets/a.py", "x = 1"),
    ("public_modules_say_what_is_public", "ml_assets/deep/__init__.py", ""),
    ("private_dagster_in_one_file", "orchestration/a.py", "from dagster._core.instance import X"),
    ("private_dagster_in_one_file", "orchestration/a.py", "import dagster._core"),
    ("private_dagster_in_one_file", "orchestration/a.py", "def f():\n    from dagster import _core"),
    ("git_holds_no_large_file", "docs/big.bin", "x" * 1_000_001),
    ("no_registry_is_named", "requirements.lock", "--index-url https://example.org/simple"),
    ("no_registry_is_named", "requirements.lock", "numpy @ https://example.org/numpy.whl"),
    ("no_registry_is_named", "pyproject.toml", "[[tool.uv.index]]"),
    ("no_registry_is_named", "Makefile", "\tpip install -i https://pypi.org/simple numpy"),
    ("no_registry_is_named", ".ci/run", "pip install --extra-index-url x numpy"),
]  # fmt: skip
# What looks alike and is allowed.
KEPT = [
    ("ml_assets/a.py", '"""Says why bfill() and center=True are forbidden."""\n'),
    ("ml_assets/a.py", "prices.shift(1)\nSet(center=mean)\nprices.rolling(5, center=False)\n"),
    ("ml_assets/a.py", "from ml_assets.training.backend import keras, tf\n"),
    ("ml_assets/windows/labels.py", "prices.shift(-1)\n"),
    ("ml_assets/training/backend.py", "import keras\nimport tensorflow as tf\n"),
    ("ml_assets/a.py", "x = 1\n" * 299),
    ("ml_assets/_a.py", "x = 1\n"),
    ("orchestration/gating/_dagster_private.py", "from dagster._core.instance import RUNLESS_RUN_ID\n"),
    ("orchestration/a.py", "import dagster as dg\nfrom dagster import AssetKey\n"),
    ("Makefile", "lock:\n\tuv pip compile --no-emit-index-url pyproject.toml\n"),
    ("tests/a.py", "import tensorflow\nx.bfill()\n"),
]


def plant(root: Path, name: str, text: str) -> Tree:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return Tree.at(root)


def fired(tree: Tree) -> set[str]:
    return {rule.__name__ for rule in RULES if list(rule(tree))}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_is_clean(rule: Rule) -> None:
    assert not [str(violation) for violation in rule(Tree.at(ROOT))]


@pytest.mark.parametrize(("rule", "name", "text"), BROKEN)
def test_each_rule_fires(tmp_path: Path, rule: str, name: str, text: str) -> None:
    tree = plant(tmp_path, name, text)
    assert rule in fired(tree)
    violations = [v for r in RULES if r.__name__ == rule for v in r(tree)]
    assert all(v.path == name and v.line >= 1 and v.what and v.remedy for v in violations)


@pytest.mark.parametrize(("name", "text"), KEPT)
def test_what_is_allowed_stays_allowed(tmp_path: Path, name: str, text: str) -> None:
    python = name.startswith(("ml_assets", "orchestration"))
    assert not fired(plant(tmp_path, name, text + (ALL if python else "")))


def test_every_rule_is_shown_to_fire() -> None:
    assert {rule for rule, _, _ in BROKEN} == {rule.__name__ for rule in RULES}


def test_files_that_git_ignores_are_left_alone(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text("var/\n")
    tree = plant(tmp_path, "var/weights.bin", "x" * 1_000_001)
    assert tree.files == (".gitignore",)


def test_the_command_prints_place_fault_and_remedy_and_fails(tmp_path: Path) -> None:
    plant(tmp_path, "ml_assets/a.py", ALL + "\nimport dagster\n")
    command = [sys.executable, "-m", "tests.house", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        "ml_assets/a.py:3: ml_assets imports dagster; move what needs it into orchestration/" in done.stdout
    )
