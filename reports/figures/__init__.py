"""The figures: one file each, one line here. Listing them draws nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.figures.drawing import Drawing
    from reports.records.measurements import Measurements


@dataclass(frozen=True, kw_only=True)
class FigureEntry:
    """A line of the registry.

    Attributes:
        caption: What it shows, for the page and for LaTeX.
        short: In a list of contents; empty takes the title's number.
        reads: What the names of the jobs whose outputs it reads begin with: sample, score ...
        name: Of the files, and of the module below reports.figures whose `draw` takes the
            measurements and returns a `Drawing`.
    """

    name: str
    title: str
    caption: str
    short: str = ""
    reads: str = ""

    def jobs(self, names: Iterable[str]) -> tuple[str, ...]:
        """Picks the jobs whose outputs it reads."""
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


def write_figure(entry: FigureEntry, measurements: Measurements, folder: Path) -> Drawn:
    """Draws a figure and writes `<name>.{png,pdf}`, and `.{md,csv,tex,json}` of what is in it."""
    from reports.figures.as_text import write_texts  # noqa: PLC0415  (listing draws nothing)
    from reports.render.style import save_figure  # noqa: PLC0415

    drawing = entry.draw(measurements)
    pictures: list[Path] = []
    if drawing.figure is not None:
        scale = measurements.preset.scale
        mark = "" if scale == "paper" else f"scale: {scale}"
        pictures = save_figure(drawing.figure, folder, entry.name, mark)
    texts = write_texts(entry, drawing, measurements.preset.scale, folder)
    return Drawn(
        entry=entry,
        png=pictures[0] if pictures else None,
        paths=(*pictures, *texts),
        needs=drawing.needs,
        notes=drawing.notes,
    )


FIGURES: dict[str, FigureEntry] = {
    entry.name: entry
    for entry in (
        FigureEntry(
            name="segment_curves",
            title="How each metric moves over a video",
            short="Curves",
            caption="Mean over videos of each segment less that of the first. Right: the total "
            "change of the fitted lines, with its 95 % interval over prompts; the drift score is "
            "made of these changes, video by video.",
            reads="score",
        ),
        FigureEntry(
            name="drift_by_length",
            title="Drift against length",
            short="Lengths",
            caption="The drift score of the first seconds of each video, as if it had ended there, "
            "with its 95 % interval over prompts.",
            reads="lengths",
        ),
        FigureEntry(
            name="fig1",
            title="Fig. 1. Motivation",
            caption="One prompt under (a) bidirectional denoising, (b) block-first denoising with "
            "clean context, (c) step-first denoising without and with training for it.",
            reads="sample",
        ),
        FigureEntry(
            name="fig3",
            title="Fig. 3. Frames over time",
            caption="Frames of every run at equal times, a block a prompt.",
            reads="sample",
        ),
        FigureEntry(
            name="fig4",
            title="Fig. 4. Bidirectional and causal dynamics during training",
            caption="A point a training checkpoint of a run without forward KL; lighter is later.",
            reads="dynamics",
        ),
        FigureEntry(
            name="fig5",
            title="Fig. 5. A single denoising step",
            caption="The same noise denoised in one step under bidirectional and under causal "
            "attention; below, the sharpness of every frame.",
            reads="strips",
        ),
    )
}
