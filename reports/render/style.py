"""How all figures look: a colour, dash and marker for each run, readable in grey and colour-blind.

Text stays text in a PDF. Fonts are embedded as Type 3, matplotlib's default, since subsets of
TrueType fonts would cost half a second for each file.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")  # Writes files only and needs no display.

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
"""Colour map of an ordered quantity; lightness rises with it, so grey shows the same order."""
DPI = 150
MARK_COLOUR = "#555555"


def plain(text: str) -> str:
    """Escapes `$`, which starts mathematics in matplotlib and may stand in a prompt."""
    return text.replace("$", r"\$")


def save_figure(figure: Figure, folder: Path, name: str, mark: str = "") -> list[Path]:
    """Writes `<folder>/<name>.png` and `.pdf`, closes the figure, returns the paths.

    Args:
        figure: The figure.
        folder: Folder of the files.
        name: File name without suffix.
        mark: Small text in the lower right corner, such as the scale, so that the picture alone
            tells what was measured.
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
        figure.set_layout_engine("none")  # The second file has the same layout.
    plt.close(figure)
    return paths
