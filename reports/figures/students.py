"""The students of the tiny study: every row's drift and motion, a dot for each training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt

from reports.figures.drawing import Drawing
from reports.records.study_record import STUDENTS_RECORD
from reports.render.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from reports.records.measurements import Measurements
    from reports.records.study_record import StudentsRecord

BELOW = 0.24
"""Rows by which the trainings' dots stand below their mean."""
PANELS = {
    "drift": "drift score (saturation, sharpness)",
    "dynamic_degree": "motion (tiny proxy, px a frame)",
}


def draw(measurements: Measurements) -> Drawing:
    """Draws a panel a measure, a line a row: trainings, their mean and its interval."""
    record = measurements.students
    if record is None:
        return Drawing(needs=(STUDENTS_RECORD,))
    figure, axes = plt.subplots(
        1, 2, figsize=(9.6, 0.8 + 0.34 * len(record.rows)), sharey=True, layout="constrained"
    )
    for axis, (measure, label) in zip(axes, PANELS.items(), strict=True):
        _panel(axis, record, measure)
        axis.set_xlabel(label, fontsize=9, loc="left")
    axes[0].set_yticks(
        range(len(record.rows)), [f"{row.name}: {row.label}" for row in record.rows], fontsize=8
    )
    axes[0].invert_yaxis()
    return Drawing(figure=figure, data=tuple(_data(record)), notes=_notes(record))


def _panel(axis: Axes, record: StudentsRecord, measure: str) -> None:
    for place, row in enumerate(record.rows):
        value, (low, high) = record.mean(row.name, measure)
        trainings = row.values(measure).mean(axis=1)
        axis.plot([low, high], [place, place], color=COLOURS[1], linewidth=1.4)
        below = [place + BELOW] * len(trainings)
        axis.scatter(trainings, below, color=COLOURS[2], s=16, linewidths=0)
        axis.scatter([value], [place], color=COLOURS[1], marker="D", s=34)
    axis.axvline(record.mean(record.reference, measure)[0], color="#bbbbbb", linewidth=0.8)
    axis.grid(axis="x", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _data(record: StudentsRecord) -> list[dict[str, Any]]:
    found = []
    for row in record.rows:
        for measure in PANELS:
            value, (low, high) = record.mean(row.name, measure)
            change, bounds = record.change(row.name, record.reference, measure)
            change_low, change_high = bounds or (None, None)
            found.append({
                "row": row.name, "measure": measure, "mean": value, "low": low, "high": high,
                "change": change, "change_low": change_low, "change_high": change_high,
            })  # fmt: skip
    return found


def _notes(record: StudentsRecord) -> tuple[str, ...]:
    made = [row.made_here for row in record.rows if row.made_here]
    seeds = ", ".join(map(str, record.seeds))
    anew = (
        f"Sampled anew here, from the first training: {len(made)} rows; the drift of a video "
        f"differs by {max(one.largest_difference for one in made):.2g} at most, and the frames of "
        f"{sum(one.same_frames for one in made)} rows are equal bit for bit."
        if made
        else "No row was sampled anew here."
    )
    return (
        f"Scale tiny: {len(record.seeds)} trainings a row (seeds {seeds}), {len(record.prompts)} "
        f"held-out prompts of {record.seconds:g} s each. Dots: one training each; diamonds: their "
        "mean, with its 95 % interval over trainings and prompts; grey: block-first.",
        f"Of the shipped record. {anew}",
    )
