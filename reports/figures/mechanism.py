"""What the order and the context's noise level do to the videos of one model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt

from reports.figures.drawing import Drawing
from reports.records.study_record import MECHANISM_RECORD
from reports.render.style import COLOURS, DASHES, MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from reports.records.measurements import Measurements
    from reports.records.study_record import MechanismRecord, StudyRow

PANELS = {
    "drift": "drift score (saturation, sharpness)",
    "seam_ratio": "change at the borders of blocks, times that elsewhere",
    "dynamic_degree": "motion (tiny proxy, px a frame)",
    "prompt_following": "prompt followed (tiny proxy, share of frames)",
}
ORDERS = {"block_first": "block-first", "step_first": "step-first"}
FOLLOWING = {"step-first-output": "output", "step-first-input": "input"}
"""Rows whose context follows the step, and the names of their levels; they stand right of the
fixed levels."""


def draw(measurements: Measurements) -> Drawing:
    """Draws a panel a measure: both orders against the context's sigma, every training thin."""
    record = measurements.mechanism
    if record is None:
        return Drawing(needs=(MECHANISM_RECORD,))
    figure, axes = plt.subplots(2, 2, figsize=(9.6, 7.0), layout="constrained")
    for axis, (measure, label) in zip(axes.flat, PANELS.items(), strict=True):
        _panel(axis, record, measure)
        axis.set_title(label, fontsize=10, loc="left")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return Drawing(figure=figure, data=tuple(_data(record)), notes=_notes(record))


def _panel(axis: Axes, record: MechanismRecord, measure: str) -> None:
    for index, (order, label) in enumerate(ORDERS.items()):
        rows = _fixed(record, order)
        levels = [row.context_sigma or 0.0 for row in rows]
        colour = COLOURS[index + 1]
        trainings = [row.values(measure).mean(axis=1) for row in rows]
        axis.plot(levels, trainings, color=colour, alpha=0.25, linewidth=0.8)
        axis.plot(
            levels, [values.mean() for values in trainings], color=colour, linestyle=DASHES[index],
            marker=MARKERS[index], markersize=5, linewidth=1.8, label=f"{label}, fixed level",
        )  # fmt: skip
    places = {name: 1.1 + 0.15 * place for place, name in enumerate(FOLLOWING)}
    for place, (name, x) in enumerate(places.items()):
        values = record.row(name).values(measure).mean(axis=1)
        axis.scatter([x] * len(values), values, color=COLOURS[2], alpha=0.3, s=10, linewidths=0)
        axis.scatter(
            [x], [values.mean()], color=COLOURS[2], marker=MARKERS[2 + place], s=48,
            label=f"step-first, {FOLLOWING[name]} level",
        )  # fmt: skip
    fixed = sorted({row.context_sigma or 0.0 for order in ORDERS for row in _fixed(record, order)})
    axis.set_xticks(
        [*fixed, *places.values()], [*(f"{level:.2g}" for level in fixed), *FOLLOWING.values()],
        fontsize=8,
    )  # fmt: skip
    axis.axvline(1.03, color="#bbbbbb", linewidth=0.8)
    axis.set_xlabel("sigma at which earlier blocks are seen", fontsize=9)
    axis.grid(axis="y", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    if measure == "drift":
        axis.set_ylim(bottom=0)


def _fixed(record: MechanismRecord, order: str) -> list[StudyRow]:
    """The rows of an order whose context has one level throughout, cleanest first."""
    rows = [row for row in record.rows if row.order == order]
    return sorted(
        (row for row in rows if row.context_sigma is not None),
        key=lambda row: row.context_sigma or 0.0,
    )


def _data(record: MechanismRecord) -> list[dict[str, Any]]:
    found = []
    for row in record.rows:
        for measure in PANELS:
            value, interval = record.change(row.name, record.reference, measure)
            low, high = interval or (None, None)
            found.append({
                "row": row.name, "order": row.order, "context_sigma": row.context_sigma,
                "measure": measure, "mean": float(row.values(measure).mean()), "change": value,
                "low": low, "high": high,
            })  # fmt: skip
    return found


def _notes(record: MechanismRecord) -> tuple[str, ...]:
    made = {row.name: row.made_here for row in record.rows if row.made_here}
    lines = [
        f"Scale tiny: {len(record.seeds)} trainings (seeds {', '.join(map(str, record.seeds))}), "
        f"{len(record.prompts)} held-out prompts of {record.seconds:g} s each, one noise seed. "
        "Thin lines and small dots: one training each. Changes in the table and in the claims have "
        "intervals over trainings and prompts together.",
        "Of the shipped record, two hours of one core. "
        + (
            f"Sampled anew here, from the first training: {len(made)} rows; the drift of a video "
            f"differs by {max(m.largest_difference for m in made.values()):.2g} at most, and the "
            f"frames of {sum(m.same_frames for m in made.values())} rows are equal bit for bit "
            "(another instruction set rounds otherwise)."
            if made
            else "No row was sampled anew here."
        ),
        "Less drift is not all: from clean to noisy context the borders of blocks begin to show, "
        "since a block knows less of the one before (Sec. 3.1 calls it a trade-off of bias and "
        "information). At a ratio of 1.3 no border shows: with clean context other places of a "
        "block reach 1.4, since the decoder makes frames in groups of four.",
        "A level is the sigma of Eq. 6: context is (1 - sigma) x0 + sigma noise, and the model is "
        "told so. Order step-first with context noised to a step's output level is what the output "
        "row does at that step.",
    ]
    return tuple(lines)
