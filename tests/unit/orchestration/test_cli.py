"""The command line: quick help, plain errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.cli.command_line import main

ROOT = Path(__file__).parents[3]


def command(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ML_ASSETS_")}
    return subprocess.run(
        [sys.executable, "-m", "orchestration.cli", *arguments],
        cwd=cwd, capture_output=True, text=True, check=False, env={**clean, **environment},
    )  # fmt: skip


def test_help_imports_neither_dagster_nor_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys; from orchestration.cli.command_line import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'dagster', 'tensorflow', 'keras'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for part in ("gated-mamba", "run", "ui", "options", "quotes", "materialize the whole graph"):
        assert part in done.stdout


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run", "--some"]])
def test_wrong_arguments_end_with_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: gated-mamba" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "environment", "named"),
    [
        (None, {"ML_ASSETS_WINDOW": "sixty"}, "window"),
        ("windows = 3\n", {}, "windows"),
        ("window = \n", {}, "line 1"),
        (None, {"ML_ASSETS_LAYOUT_HINTS": "no json"}, "layout_hints"),
    ],
    ids=["bad value", "unknown key", "bad TOML", "bad JSON"],
)
def test_wrong_settings_end_with_one_message_and_no_traceback(
    tmp_path: Path, file: str | None, environment: dict[str, str], named: str
) -> None:
    if file is not None:
        (tmp_path / "settings.toml").write_text(file)
    done = command("run", cwd=tmp_path, **environment)
    assert done.returncode == 2
    assert "settings are wrong; correct ML_ASSETS_* or settings.toml" in done.stderr
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "var").exists()
