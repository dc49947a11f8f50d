"""A panel per metric: its five segment means over time, one line a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt

from reports.figures.style import COLOURS, DASHES, MARKERS, save_figure

if TYPE_CHECKING:
    from reports.measurements import Measurements

DODGE = 0.06
"""Shift of a run's points along the segments, so that overlapping intervals stay apart."""


def draw(measurements: Measurements, folder: Path) -> list[Path]:
    """Draws the figure.

    Args:
        measurements: At least one scored run.
        folder: Where the files go.

    Returns:
        The files written.
    """
    names = list(next(iter(measurements.drifts.values())).metrics)
    figure, axes = plt.subplots(
        1, len(names), figsize=(4.6 * len(names), 4.2), layout="constrained", squeeze=False
    )
    for axis, name in zip(axes[0], names, strict=True):
        _panel(axis, name, measurements)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    videos = max(record.videos for record in measurements.drifts.values())
    figure.suptitle(
        f"Segment means with 95 % intervals, {videos} videos a run "
        f"({measurements.preset.scale} model)",
        fontsize=11,
    )
    return save_figure(figure, folder, "segment_curves")


def _panel(axis: Any, metric: str, measurements: Measurements) -> None:
    runs = [run for run in measurements.preset.runs if run.name in measurements.drifts]
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
    unit = next(iter(measurements.drifts.values())).metrics[metric].unit
    axis.set_title(metric, fontsize=11)
    axis.set_xlabel("segment")
    axis.set_ylabel(unit)
    axis.set_xticks(range(1, len(curve.means) + 1))
    axis.grid(axis="y", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
