"""Roofline: operations a second against operations a byte, below what a card can reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from math import log
from typing import TYPE_CHECKING

from hiar.bench.config import bench_models
from hiar.bench.flops import least_bytes, video_flops
from hiar.model.geometry import num_blocks
from hiar.sampling.config import SamplerConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hiar.bench.rows import Row

DATA_SHEETS = {"H100 PCIe": 2.0e12, "H100": 3.35e12, "H200": 4.8e12}
"""Bytes a second of a card's memory by a part of its name (NVIDIA H100 and H200 Tensor Core GPU
data sheets)."""
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
NEAR = 0.1
"""Points whose coordinates are all within this natural logarithm share a label."""
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette, one a card."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A row in the roofline.

    Attributes:
        number: Its number in the page's tables.
        card: GPU or processor that it ran on, and the number type.
        intensity: Operations a byte, if weights, keys and values are read once a call and nothing
            else is.
        tflops: Operations a second that it reached, in 10^12, on one device.
        peak_tflops: What a large matrix product reached in the same run.
        memory_bytes_per_s: What the card's data sheet says of its memory; None if unknown.
    """

    number: int
    card: str
    intensity: float
    tflops: float
    peak_tflops: float
    memory_bytes_per_s: float | None


def point_of(number: int, row: Row, card: str) -> Point | None:
    """The point of a row; None where the sizes of its model are not known."""
    model = bench_models().get(row.config)
    if model is None or row.dtype not in BYTES:
        return None
    is_block_first = row.order == "block_first"
    sampler = SamplerConfig(
        order="block_first" if is_block_first else "step_first",
        context="clean" if is_block_first else "output",
        window=row.window,
    )
    blocks = num_blocks(row.latent_frames, sampler.frames_per_block)
    flops = video_flops(model.config, sampler, blocks, model.frame_tokens)
    read = least_bytes(model.config, sampler, blocks, model.frame_tokens, BYTES[row.dtype])
    return Point(
        number=number,
        card=f"{card}, {row.dtype}",
        intensity=flops / read,
        tflops=row.tflops_per_s / row.ranks,
        peak_tflops=row.matmul_peak_tflops_per_s,
        memory_bytes_per_s=next((r for name, r in DATA_SHEETS.items() if name in card), None),
    )


def draw_roofline(points: Sequence[Point]) -> Figure:
    """A panel a card: its points below its roof, the best matrix product and memory if known."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    cards = list(dict.fromkeys(point.card for point in points))
    figure = Figure(figsize=(1.5 + 4.5 * len(cards), 4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(cards), squeeze=False)[0]
    for card, axes, color in zip(cards, panels, cycle(COLORS)):
        _draw_card(axes, [point for point in points if point.card == card], color)
    figure.supxlabel("operations a byte (weights, keys and values read once a call)", fontsize=9)
    figure.supylabel("10\u00b9\u00b2 operations a second, one device", fontsize=9)
    return figure


def _draw_card(axes: Axes, points: Sequence[Point], color: str) -> None:
    """The points of one card below its roof."""
    left, right = min(p.intensity for p in points) / 30, max(p.intensity for p in points) * 3
    peak = max(point.peak_tflops for point in points)
    memory = points[0].memory_bytes_per_s
    ridge = left if memory is None else max(left, peak * 1e12 / memory)
    xs, ys = [ridge, right], [peak, peak]
    if memory is not None and ridge > left:
        xs, ys = [left, *xs], [left * memory / 1e12, *ys]
    axes.plot(xs, ys, color="black", linewidth=1)
    axes.scatter([p.intensity for p in points], [p.tflops for p in points], color=color, s=18)
    for near in close_together(points):
        axes.annotate(
            ", ".join(str(point.number) for point in near), (near[0].intensity, near[0].tflops),
            textcoords="offset points", xytext=(-5, -3), ha="right", fontsize=7, color=color,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    axes.set_title(f"{points[0].card}: roof {peak:.3g}", loc="left", fontsize=9)
    axes.grid(visible=True, which="major", color="#eee")
    axes.spines[["top", "right"]].set_visible(False)


def close_together(points: Sequence[Point]) -> list[list[Point]]:
    """The points in groups that would hide one another's labels: within a tenth of each other."""
    groups: list[list[Point]] = []
    for point in sorted(points, key=lambda point: -point.tflops):
        for group in groups:
            first = group[0]
            apart = abs(log(point.intensity / first.intensity)), log(first.tflops / point.tflops)
            if max(apart) < NEAR:
                group.append(point)
                break
        else:
            groups.append([point])
    return groups
