"""Fig. 1: one prompt under each way of denoising, step-first with and without training for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.figures.drawing import Drawing
from reports.figures.fig3 import frames_data
from reports.figures.frame_grid import GridBlock, GridRow, draw_grid
from reports.tables import TABLES

if TYPE_CHECKING:
    from reports.records.measurements import Measurements

PARTS = (
    ("(a) bidirectional", "table1", "wan2.1-1.3b", "videos of a bidirectional model"),
    ("(b) block-first", "table3", "self-forcing", "videos of a block-first run"),
    ("(c) step-first, without training", "table3", "no-retraining", "videos of a step-first run"),
    (
        "(c) step-first, with training",
        "table3",
        "fkl-bidirectional-1",
        "videos of a model trained step-first",
    ),
)
"""Label, table and row whose run is shown, and what is missing without that run. Source: Fig. 1."""


def draw(measurements: Measurements) -> Drawing:
    """Draws the first prompt that a shown run sampled, with a row for each part of the figure."""
    times_s = measurements.preset.figures.sheet_times_s
    runs = {label: TABLES[table].run(measurements, row) for label, table, row, _ in PARTS}
    videos = {
        label: measurements.videos[run][0]
        for label, run in runs.items()
        if run is not None and measurements.videos.get(run)
    }
    rows = tuple(
        GridRow(label=label, video=videos.get(label), why=f"needs {what}")
        for label, _, _, what in PARTS
    )
    needs = tuple(f"{what}, for {label}" for label, _, _, what in PARTS if label not in videos)
    if not videos:
        return Drawing(needs=needs)
    prompt = next(iter(videos.values())).prompt
    block = GridBlock(title=f"“{prompt}”", rows=rows)
    return Drawing(
        figure=draw_grid([block], times_s),
        data=frames_data([block], times_s),
        needs=needs,
    )
