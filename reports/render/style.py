"""How all figures look: one colour, dash and marker a run, readable in grey and colour-blind.

Text stays text in a PDF. Fonts are embedded as Type 3, matplotlib's default: TrueType subsets would
cost half a second a file.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")  # no display: files only

from matplotlib import pyplot as plt

from drift.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colour-blind safe palette, in the order of falling contrast on white.
# Its yellow is too light for that; a grey is the eighth.
COLOURS = (
    "#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F",
)  # fmt: skip
DASHES = (
    "-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 3)), (0, (3, 1, 1, 1)),
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "X", "P", "*")
SEQUENCE = "cividis"
"""Colours of an ordered quantity; lightness rises with it, so grey shows the same order."""
DPI = 150
MARK_COLOUR = "#555555"


def plain(text: str) -> str:
    """Keeps text as it is: `$` starts mathematics in matplotlib, and a prompt may hold one."""
    return text.replace("$", r"\$")


def save_figure(figure: Figure, folder: Path, name: str, mark: str = "") -> list[Path]:
    """Writes `<folder>/<name>.png` and `.pdf`, closes the figure, returns the paths.

    Args:
        figure: What was drawn.
        folder: Where to.
        name: Of the files.
        mark: Said small in the lower right corner, so that a picture alone tells what it is of.
    """
    if mark:
        figure.text(
            1, 0, mark, ha="right", va="bottom", fontsize=7, color=MARK_COLOUR, in_layout=False
        )
    paths = [folder / f"{name}.png", folder / f"{name}.pdf"]
    for path in paths:
        metadata = {"CreationDate": None} if path.suffix == ".pdf" else None
        with atomic_path(path) as temporary, warnings.catch_warnings():
            # A prompt may hold a character that the font lacks; it is drawn as a box.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure.savefig(temporary, dpi=DPI, metadata=metadata)
        figure.set_layout_engine("none")  # laid out once: the second file is the same
    plt.close(figure)
    return paths
