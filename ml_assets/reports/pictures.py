"""Pictures: one look for all of them, as PNG bytes and as Markdown that the Dagster UI shows.

Importing this module imports no matplotlib; drawing does.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BLUE", "GREY", "ORANGE", "RED", "Picture", "drawing", "markdown_picture", "markdown_pictures"]

BLUE, ORANGE, RED, GREY = "#4c6ef5", "#f08c00", "#e03131", "#868e96"


class Picture:
    """A finished picture; `png` is empty until the drawing has ended."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.png = b""


@contextmanager
def drawing(width: float = 7.0, height: float = 3.5) -> Iterator[Picture]:
    """Draw on ``picture.figure`` inside the block; ``picture.png`` holds the bytes after it.

    Equal drawings give equal bytes: no time and no version goes into the file. No display is needed, and no
    state is shared, so threads may draw at once.

    Parameters
    ----------
    width, height : float
        Inches, at 110 dots per inch.

    Examples
    --------
    >>> with drawing() as picture:
    ...     axes = picture.figure.subplots()
    ...     _ = axes.plot([1, 2, 3], color=BLUE)
    >>> picture.png[1:4]
    b'PNG'
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    picture = Picture(figure)
    yield picture
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    picture.png = buffer.getvalue()


def markdown_picture(png: bytes, alt: str) -> str:
    """Return Markdown that holds the picture itself, as the Dagster UI shows it among metadata."""
    return f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})"


def markdown_pictures(pages: Mapping[str, bytes]) -> dict[str, str]:
    """Return the pictures among a report's pages as :func:`markdown_picture` does, by name of the file."""
    names = {PurePosixPath(path).stem: page for path, page in pages.items() if path.endswith(".png")}
    return {name: markdown_picture(page, name) for name, page in names.items()}
