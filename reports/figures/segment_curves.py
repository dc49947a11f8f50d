"""A panel for each metric: how far its mean has moved since the first segment, a line for each run.

Videos differ among themselves far more than each does over its length, so an interval of a
segment's mean would hide every change. What is drawn with its interval is the change itself: at the
right, the total change of the fitted lines (slope times the number of segments after the first).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt

from reports.figures.drawing import Drawing
from reports.render.style import COLOURS, DASHES, MARKERS

if TYPE_CHECKING:
    from reports.paper.spec_types import RunSpec
    from reports.records.measurements import Measurements

DODGE = 0.16
"""Shift of a run's total change, so that overlapping intervals stay apart."""
TOTAL_AT = 0.9
"""Distance of the total changes from the last segment, in segments."""
PANELS_A_ROW = 3


def draw(measurements: Measurements) -> Drawing:
    """Draws every metric of the scored runs."""
    runs = [run for run in measurements.shown_runs if run.name in measurements.drifts]
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
    videos = max(measurements.drifts[run.name].videos for run in runs)
    figure.suptitle(
        f"Change since the first segment; right: total change with its 95 % interval, {videos} "
        f"videos a run (scale {measurements.preset.scale})",
        fontsize=11,
    )
    return Drawing(
        figure=figure,
        data=tuple(
            {"run": run.name, "metric": name, "segment": index + 1, "mean": mean,
             "low": low, "high": high, "change": mean - curve.segment_means[0],
             "mean_slope": curve.mean_slope, "slope_low": curve.ci95[0],
             "slope_high": curve.ci95[1], "unit": curve.unit}
            for run in runs
            for name, curve in measurements.drifts[run.name].metrics.items()
            for index, (mean, (low, high)) in enumerate(
                zip(curve.segment_means, curve.segment_ci95, strict=True)
            )
        ),
    )  # fmt: skip


def _panel(axis: Any, metric: str, runs: list[RunSpec], measurements: Measurements) -> None:
    steps = len(measurements.drifts[runs[0].name].metrics[metric].segment_means) - 1
    for index, run in enumerate(runs):
        curve = measurements.drifts[run.name].metrics[metric]
        style = {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}
        axis.plot(
            range(1, steps + 2),
            [mean - curve.segment_means[0] for mean in curve.segment_means], markersize=5,
            linestyle=DASHES[index % len(DASHES)], linewidth=1.6, label=run.label, **style,
        )  # fmt: skip
        total, (low, high) = steps * curve.mean_slope, (steps * b for b in curve.ci95)
        axis.errorbar(
            steps + 1 + TOTAL_AT + DODGE * index, total, yerr=[[total - low], [high - total]],
            markersize=5, elinewidth=1.2, capsize=3, **style,
        )  # fmt: skip
    axis.axhline(0, color="grey", linewidth=0.7)
    axis.axvline(steps + 1 + TOTAL_AT / 2, color="grey", linewidth=0.5)
    axis.set_title(metric, fontsize=11)
    axis.set_xlabel("segment")
    axis.set_ylabel(measurements.drifts[runs[0].name].metrics[metric].unit)
    middle = steps + 1 + TOTAL_AT + DODGE * (len(runs) - 1) / 2
    axis.set_xticks([*range(1, steps + 2), middle], [*range(1, steps + 2), "total"])
    axis.grid(axis="y", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
