"""The figures: one file each, one line here. Listing them draws nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.measurements import Measurements


@dataclass(frozen=True, kw_only=True)
class FigureEntry:
    """A line of the registry; `reads` is sample or score: which jobs of every run it needs."""

    name: str
    title: str
    reads: str

    def draw(self, measurements: Measurements, folder: Path) -> list[Path]:
        """Draws the figure, or nothing when no run that it needs is done."""
        found: Mapping[str, object] = measurements.videos
        if self.reads == "score":
            found = measurements.drifts
        if not found:
            return []
        paths: list[Path] = import_module(f"reports.figures.{self.name}").draw(measurements, folder)
        return paths


FIGURES: dict[str, FigureEntry] = {
    entry.name: entry
    for entry in (
        FigureEntry(
            name="segment_curves", title="How each metric moves over a video", reads="score"
        ),
        FigureEntry(
            name="contact_sheet",
            title="Frames over time, as in Fig. 3 of the paper",
            reads="sample",
        ),
    )
}
