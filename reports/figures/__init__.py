"""The figures: one file each, one line here. Listing them draws nothing.

Imports `reports.render` and the rooms it stands on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reports.figures.drawing import Drawn, FigureEntry

if TYPE_CHECKING:
    from reports.records.measurements import Measurements


def write_figure(entry: FigureEntry, measurements: Measurements, folder: Path) -> Drawn:
    """Draws a figure; writes `<name>.{png,pdf}`, and its data and words as `.{md,csv,tex,json}`."""
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
            name="mechanism",
            title="What the order does, and what the context's noise level does",
            short="Mechanism",
            caption="One model, trained to take context of any noise level, and nothing else "
            "changed: sampled block-first and step-first, with earlier blocks seen clean, at fixed "
            "noise levels, and at the levels of the current step (Sec. 3.1 and Table 2 of the "
            "paper, without a confound of training).",
            reads="mechanism",
            leads=True,
        ),
        FigureEntry(
            name="students",
            title="The students, every training",
            short="Students",
            caption="The rows of Tables 1 to 3 in the small: drift and motion of each student, "
            "over several trainings.",
            reads="students",
        ),
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
            caption="A point a training checkpoint of a run without forward KL; lighter is later. "
            "Right: the same points against the training step.",
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
