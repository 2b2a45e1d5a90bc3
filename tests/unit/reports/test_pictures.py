"""Pictures: bytes that depend on the drawing alone."""

from __future__ import annotations

import subprocess
import sys

from ml_assets.reports.pictures import BLUE, drawing, markdown_picture


def _line(slope: float) -> bytes:
    with drawing(3.0, 2.0) as picture:
        picture.figure.subplots().plot([0.0, slope], color=BLUE)
    return picture.png


def test_equal_drawings_give_equal_bytes() -> None:
    assert _line(1.0) == _line(1.0)
    assert _line(1.0) != _line(-1.0)


def test_markdown_holds_the_picture() -> None:
    text = markdown_picture(_line(1.0), "a line")
    assert text.startswith("![a line](data:image/png;base64,iVBOR")


def test_importing_draws_nothing() -> None:
    code = "import sys, ml_assets.reports.pictures; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
