"""What the registry says of a figure, what its module returns, and what was written of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reports.records.measurements import Measurements


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure before it is written.

    Attributes:
        figure: The picture, None where nothing of it was measured.
        data: The numbers in the picture, one flat record per point or frame.
        needs: What is still missing for a complete figure, one entry per part.
        notes: What a reader must know.
    """

    figure: Figure | None = None
    data: tuple[dict[str, Any], ...] = ()
    needs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FigureEntry:
    """A line of the registry.

    Attributes:
        name: Name of the files, and of the module below `reports.figures` whose `draw` takes the
            measurements and returns a `Drawing`.
        caption: What the figure shows, for the page and for LaTeX.
        short: Title in the page's list of contents; empty takes the number out of the title.
        leads: Whether the figure stands at the top of the page, above the claims.
        reads: Prefix of the names of the jobs whose outputs the figure reads: sample, score ...
    """

    name: str
    title: str
    caption: str
    short: str = ""
    reads: str = ""
    leads: bool = False

    def jobs(self, names: Iterable[str]) -> tuple[str, ...]:
        """Picks, of these job names, those whose outputs the figure reads."""
        return tuple(name for name in names if self.reads and name.startswith(f"{self.reads}-"))

    def draw(self, measurements: Measurements) -> Drawing:
        """Draws the figure; imports matplotlib."""
        drawing: Drawing = import_module(f"reports.figures.{self.name}").draw(measurements)
        return drawing


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A written figure; `png` is None where nothing of it was measured."""

    entry: FigureEntry
    png: Path | None
    paths: tuple[Path, ...]
    needs: tuple[str, ...]
    notes: tuple[str, ...]
