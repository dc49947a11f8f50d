"""A panel per metric: its segment means over time, one line a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt

from reports.figures.drawing import Drawing
from reports.figures.style import COLOURS, DASHES, MARKERS

if TYPE_CHECKING:
    from reports.measurements import Measurements
    from reports.spec import RunSpec

DODGE = 0.06
"""Shift of a run's points along the segments, so that overlapping intervals stay apart."""
PANELS_A_ROW = 3


def draw(measurements: Measurements) -> Drawing:
    """Draws every metric of the scored runs."""
    runs = [run for run in measurements.preset.runs if run.name in measurements.drifts]
    if not runs:
        return Drawing(needs=("a scored run",))
    names = list(measurements.drifts[runs[0].name].metrics)
    columns = min(len(names), PANELS_A_ROW)
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4.6 * columns, 3.6 * rows + 0.6), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for axis, name in zip(axes.flat, names, strict=False):
        _panel(axis, name, runs, measurements)
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    videos = max(record.videos for record in measurements.drifts.values())
    figure.suptitle(
        f"Segment means with 95 % intervals, {videos} videos a run "
        f"({measurements.preset.scale} model)",
        fontsize=11,
    )
    return Drawing(
        figure=figure,
        data=tuple(
            {"run": run.name, "metric": name, "segment": index + 1, "mean": mean,
             "low": low, "high": high, "unit": curve.unit}
            for run in runs
            for name, curve in measurements.drifts[run.name].metrics.items()
            for index, (mean, (low, high)) in enumerate(zip(curve.means, curve.ci95, strict=True))
        ),
    )  # fmt: skip


def _panel(axis: Any, metric: str, runs: list[RunSpec], measurements: Measurements) -> None:
    for index, run in enumerate(runs):
        curve = measurements.drifts[run.name].metrics[metric]
        shift = DODGE * (index - (len(runs) - 1) / 2)
        x = [1 + segment + shift for segment in range(len(curve.means))]
        low = [mean - bound[0] for mean, bound in zip(curve.means, curve.ci95, strict=True)]
        high = [bound[1] - mean for mean, bound in zip(curve.means, curve.ci95, strict=True)]
        axis.errorbar(
            x,
            curve.means,
            yerr=[[max(0.0, v) for v in low], [max(0.0, v) for v in high]],
            color=COLOURS[index % len(COLOURS)],
            linestyle=DASHES[index % len(DASHES)],
            marker=MARKERS[index % len(MARKERS)],
            markersize=5,
            linewidth=1.6,
            elinewidth=0.9,
            capsize=2.5,
            label=run.label,
        )
    axis.set_title(metric, fontsize=11)
    axis.set_xlabel("segment")
    axis.set_ylabel(measurements.drifts[runs[0].name].metrics[metric].unit)
    axis.set_xticks(range(1, len(curve.means) + 1))
    axis.grid(axis="y", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
