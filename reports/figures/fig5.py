"""Fig. 5: one denoising step under bidirectional and under causal attention, and its sharpness."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

from reports.figures.drawing import Drawing
from reports.figures.frame_grid import build_mosaic, pick_frames
from reports.figures.single_step import sharpness_curves
from reports.render.style import COLOURS, DASHES, plain

if TYPE_CHECKING:
    from reports.records.measurements import Measurements

NUM_PICTURES = 8
NEEDS = (
    "records/strips.json: clips denoised in a single step from the same noise, under bidirectional "
    "and under causal attention"
)


def draw(measurements: Measurements) -> Drawing:
    """Draws the first clip's frames under both kinds of attention, and all frames' sharpness."""
    record = measurements.strips
    if record is None:
        return Drawing(needs=(NEEDS,))
    strip = record.strips[0]
    curves = sharpness_curves(strip)
    figure, axes = plt.subplots(
        len(curves) + 1, 1, figsize=(8.4, 1.25 * len(curves) + 2.4), layout="constrained",
        height_ratios=[*[1.0] * len(curves), 1.7],
    )  # fmt: skip
    figure.suptitle(plain(f"“{strip.prompt}”"), fontsize=9)
    for index, (attention, values) in enumerate(curves.items()):
        shown = [round(i * (len(values) - 1) / (NUM_PICTURES - 1)) for i in range(NUM_PICTURES)]
        frames = pick_frames(strip.videos[attention], shown)
        axes[index].imshow(build_mosaic([frames]), interpolation="nearest")
        axes[index].axis("off")
        axes[index].set_title(f"{attention}, frames {shown[0]} to {shown[-1]}", fontsize=8)
        axes[-1].plot(
            values, color=COLOURS[index], linestyle=DASHES[index], label=attention, linewidth=1.5
        )
    axes[-1].set_xlabel("frame")
    axes[-1].set_ylabel("sharpness, ln variance")
    axes[-1].legend(frameon=False)
    axes[-1].grid(alpha=0.25)
    axes[-1].spines[["top", "right"]].set_visible(False)
    return Drawing(
        figure=figure,
        data=tuple(
            {"attention": attention, "frame": frame, "ln_sharpness": value}
            for attention, values in curves.items()
            for frame, value in enumerate(values)
            if math.isfinite(value)
        ),
        notes=(
            f"One step from timestep {record.timestep:g}, seed {strip.seed}; scale {record.scale}; "
            f"the first of {len(record.strips)} clips.",
        ),
    )
