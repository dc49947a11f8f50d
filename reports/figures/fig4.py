"""Fig. 4: dynamic degree under bidirectional and causal attention, a point for each checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from reports.figures.correlation import pearson_with_interval
from reports.figures.drawing import Drawing
from reports.paper.published import load_published
from reports.render.style import SEQUENCE, plain

if TYPE_CHECKING:
    from reports.records.measurements import Measurements

NEEDS = (
    "records/dynamics.json and the dynamics.jsonl of a training run without forward KL: "
    "the dynamic degree of its checkpoints under both kinds of attention"
)


def draw(measurements: Measurements) -> Drawing:
    """Draws the points; names their correlation with its interval, and the paper's."""
    record = measurements.dynamics
    if record is None:
        return Drawing(needs=(NEEDS,))
    x = [point.bidirectional for point in record.points]
    y = [point.causal for point in record.points]
    found = pearson_with_interval(x, y)
    figure, axis = plt.subplots(figsize=(4.6, 3.9), layout="constrained")
    dots = axis.scatter(
        x, y, c=[point.step for point in record.points], cmap=SEQUENCE, s=42, edgecolors="black",
        linewidths=0.6,
    )  # fmt: skip
    figure.colorbar(dots, ax=axis, label="training step")
    paper = load_published()["figures"]["fig4"]["pearson_r"]
    axis.set_title(f"{found.text()}\nthe paper: r = {paper}", fontsize=9)
    label = plain(f"{record.measure}\n({record.unit})")
    axis.set_xlabel(f"bidirectional: {label}", fontsize=9)
    axis.set_ylabel(f"causal: {label}", fontsize=9)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    return Drawing(
        figure=figure,
        data=tuple(
            {"step": p.step, "bidirectional": p.bidirectional, "causal": p.causal}
            for p in record.points
        ),
        notes=(
            f"{record.training}; {record.videos} videos a point; scale {record.scale}.",
            "The interval takes checkpoints as independent (Fisher's z). Those of one training run "
            "are not, so it is too narrow.",
        ),
    )
