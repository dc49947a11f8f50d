"""Fig. 4: dynamic degree under bidirectional and causal attention, a point for each checkpoint.

Beside it, how the two go with the training step, and how many steps a fall by half would take if it
went on as fast as the line's interval allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from reports.figures.correlation import pearson_with_interval
from reports.figures.drawing import Drawing
from reports.paper.published import load_published
from reports.render.style import COLOURS, DASHES, MARKERS, SEQUENCE, plain
from reports.tables.text import signed

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
    figure, (axis, beside) = plt.subplots(1, 2, figsize=(9.2, 3.9), layout="constrained")
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
    steps = [point.step for point in record.points]
    motion = {"causal": y, "bidirectional": x}
    enough = len(steps) > 2  # two points lie on any line
    lines = {name: fit_line(steps, values) for name, values in motion.items() if enough}
    for index, (name, values) in enumerate(motion.items()):
        colour = COLOURS[index + 1]
        beside.plot(
            steps, values, color=colour, marker=MARKERS[index], markersize=5,
            linestyle=DASHES[index], label=name,
        )  # fmt: skip
        if name in lines:
            fitted = [lines[name].at(step) for step in steps]
            beside.plot(steps, fitted, color=colour, linewidth=0.8, alpha=0.6)
    beside.set_xlabel("training step", fontsize=9)
    beside.set_ylabel(label, fontsize=9)
    beside.set_ylim(bottom=0)
    beside.grid(alpha=0.25)
    beside.spines[["top", "right"]].set_visible(False)
    beside.legend(frameon=False)
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
            *(line.text(name) for name, line in lines.items()),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Line:
    """A straight line through motion by training step.

    Attributes:
        start: Motion at step 0.
        slope: Change a step; `interval` is its 95 % interval, by Student's t.
    """

    start: float
    slope: float
    interval: tuple[float, float]

    def at(self, step: float) -> float:
        """Motion at a step."""
        return self.start + self.slope * step

    def text(self, name: str) -> str:
        """Words the slope, and what it would take to halve the motion."""
        low, high = (1000 * bound for bound in self.interval)
        said = (
            f"Under {name} attention motion changes by {signed(1000 * self.slope, 2)} "
            f"[{signed(low, 2)}, {signed(high, 2)}] in 1,000 steps. "
        )
        if self.interval[0] >= 0:
            return said + "The interval allows no fall."
        steps = round(self.start / 2 / -self.interval[0], -2)
        return said + (
            f"Extrapolated, not measured: at the fastest fall that the interval allows, it would "
            f"be halved after {steps:,.0f} steps, at the earliest."
        )


def fit_line(steps: Sequence[float], values: Sequence[float]) -> Line:
    """Least squares, with the interval of the slope; three points or more."""
    from scipy import stats  # noqa: PLC0415  (listing figures stays light)

    fit = stats.linregress(steps, values)
    half = stats.t.ppf(0.975, len(steps) - 2) * fit.stderr
    return Line(
        start=float(fit.intercept), slope=float(fit.slope),
        interval=(float(fit.slope - half), float(fit.slope + half)),
    )  # fmt: skip
