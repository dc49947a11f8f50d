"""The drift score of the first seconds of the videos, a line for each run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from reports.figures.drawing import Drawing
from reports.render.style import COLOURS, DASHES, MARKERS

if TYPE_CHECKING:
    from reports.records.measurements import Measurements

NEEDS = (
    "records/lengths.json: drift lengths over runs of videos longer than the tables', in folders "
    "called like this preset's runs"
)
DODGE = 0.012
"""Shift between runs as a fraction of the longest length, so that intervals stay apart."""


def draw(measurements: Measurements) -> Drawing:
    """Draws every run of the record."""
    record = measurements.lengths
    if record is None:
        return Drawing(needs=(NEEDS,))
    labels = {run.name: run.label for run in measurements.preset.runs}
    order = {name: index for index, name in enumerate(labels)}
    figure, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    longest = max(point.seconds for points in record.runs.values() for point in points)
    for place, (name, points) in enumerate(record.runs.items()):
        index = order.get(name, len(order) + place)
        at = [p.seconds + DODGE * longest * (place - (len(record.runs) - 1) / 2) for p in points]
        below = [p.score.value - p.score.ci95[0] for p in points]
        above = [p.score.ci95[1] - p.score.value for p in points]
        axis.errorbar(
            at, [p.score.value for p in points], yerr=[below, above], label=labels.get(name, name),
            color=COLOURS[index % len(COLOURS)], linestyle=DASHES[index % len(DASHES)],
            marker=MARKERS[index % len(MARKERS)], markersize=5, linewidth=1.6, elinewidth=1.1,
            capsize=3,
        )  # fmt: skip
        axis.plot(
            at, [p.score.noise_floor for p in points], color=COLOURS[index % len(COLOURS)],
            linestyle=":", linewidth=1.0,
        )  # fmt: skip
    seconds = sorted({p.seconds for points in record.runs.values() for p in points})
    axis.set_xticks(seconds, [f"{second:g}" for second in seconds])
    axis.set_ylim(bottom=0)
    axis.set_xlabel("length (s)")
    axis.set_ylabel(f"drift score ({', '.join(record.metrics)})")
    axis.grid(axis="y", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    return Drawing(
        figure=figure,
        data=tuple(
            {"run": name, "seconds": p.seconds, "score": p.score.value,
             "low": p.score.ci95[0], "high": p.score.ci95[1],
             "noise_floor": p.score.noise_floor}
            for name, points in record.runs.items()
            for p in points
        ),
        notes=(
            f"{record.videos} videos a run; scale {measurements.preset.scale}. Each length is "
            f"cut into {record.segments} segments, so they grow with it. Dotted: the noise floor, "
            "the score of the same segments in random order. Points of one run share their videos "
            "and are not independent.",
        ),
    )  # fmt: skip
