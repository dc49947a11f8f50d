"""Charts as inline SVG, coloured by CSS. They contain numbers only, so nothing needs escaping."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drift.report.plot import Plot, caption, number, rect, stroke, ticks

MAX_LINES = 60  # more videos are drawn as the range that holds nine in ten of them
HISTOGRAM_BINS = 16
SPARK_WIDTH, SPARK_HEIGHT = 64, 20
CHANGE_POINTS = 40  # points of a line of changes
LABEL_PX = 12  # least distance between two numbers at the ends of lines
FRAME_WIDTH, FRAME_HEIGHT, FRAME_POINTS = 240, 72, 80


@dataclass(frozen=True, kw_only=True)
class Line:
    """How one metric of one video changes.

    Args:
        change: (CHANGE_POINTS,) values less the mean of the first segment, evenly over the video.
        far: `rising` or `falling` for a video that changes by half the scale or more, else empty.
        label: Number of the video on the page; empty for one that has none.
        onset: Share of the video after which it stays away from its start; None if it does not.
    """

    change: Sequence[float]
    far: str = ""
    label: str = ""
    onset: float | None = None


def change_chart(lines: Sequence[Line], scale: float, duration_s: float | None) -> str:
    """Draws the change of one metric since the first segment: a thin line a video, and the median.

    The axis spans half the scale at least, so that noise does not look like drift.

    Args:
        lines: The videos; of very many only those with a label are drawn, and a range.
        scale: Change that counts as drift 1.
        duration_s: Length of the videos; None if they differ or do not tell, and the axis is then
            a share of the video.

    Returns:
        An `<svg>` element.
    """
    table = np.array([line.change for line in lines])
    median = np.median(table, axis=0).tolist()
    labelled = [line for line in lines if line.label]
    many = len(lines) > MAX_LINES
    drawn = labelled if many else lines
    spread = np.percentile(table, [5, 95], axis=0).tolist() if many else []
    seen = [v for one in (*(line.change for line in drawn), *spread, median) for v in one]
    levels = ticks([*seen, -scale / 4, scale / 4])
    length = 100.0 if duration_s is None else duration_s
    times = ticks([0.0, length], about=6)
    plot = Plot(
        width=560, height=250, left=58, right=30, top=10, bottom=34,
        x0=0.0, x1=length, y0=levels[0], y1=levels[-1],
    )  # fmt: skip
    places = [(i + 0.5) / CHANGE_POINTS * length for i in range(CHANGE_POINTS)]
    parts = [plot.level(level, "grid") + plot.level_label(level) for level in levels]
    parts += [caption(plot.x(t), 232, "middle", number(t)) for t in times if t <= length]
    parts.append(plot.level(0.0, "zero"))
    parts += [plot.level(v, "scale") for v in (-scale, scale) if levels[0] < v < levels[-1]]
    if many:
        parts.append(plot.polygon("spread", places, spread[1], spread[0]))
    for line in drawn:
        points = plot.points(places, line.change)
        parts.append(f'<polyline class="video {line.far}" points="{points}"/>')
    parts.append(f'<polyline class="median" points="{plot.points(places, median)}"/>')
    parts += _labels(plot, labelled, length)
    parts.append(plot.axis_title("percent of the video" if duration_s is None else "seconds"))
    return plot.svg(parts, "change since the first segment")


def _labels(plot: Plot, lines: Sequence[Line], length: float) -> list[str]:
    """The numbers of the videos at the ends of their lines, and a dot where each leaves its start.

    Numbers that would cover one another are moved apart.
    """
    ordered = sorted(lines, key=lambda line: plot.y(line.change[-1]))
    heights: list[float] = []
    for line in ordered:
        above = heights[-1] + LABEL_PX if heights else plot.top
        heights.append(max(above, plot.y(line.change[-1])))
    raised = max(0.0, heights[-1] - (plot.height - plot.bottom)) if heights else 0.0
    parts = []
    for line, height in zip(ordered, heights, strict=True):
        parts.append(caption(plot.x(length) + 5, height - raised + 4, "start", line.label))
        if line.onset is not None:
            place = min(CHANGE_POINTS - 1, int(line.onset * CHANGE_POINTS))
            x, y = plot.x((place + 0.5) / CHANGE_POINTS * length), plot.y(line.change[place])
            parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
    return parts


def change_histogram(changes: Sequence[float], mean: float, ci: Sequence[float]) -> str:
    """Draws a histogram of the videos' total changes, falling ones left of 0, rising ones right.

    Args:
        changes: (videos,) signed total change of each video.
        mean: Mean of the changes.
        ci: 95 % interval of the mean.

    Returns:
        An `<svg>` element.
    """
    far = max(abs(v) for v in (*changes, *ci)) or 1.0
    half = ticks([0.0, far], about=2)
    edges = np.linspace(-half[-1], half[-1], HISTOGRAM_BINS + 1)
    counts, _ = np.histogram(changes, bins=edges)
    top = ticks([0.0, float(max(counts))], about=3, whole=True)
    plot = Plot(
        width=300, height=240, left=34, right=12, top=26, bottom=34,
        x0=-half[-1], x1=half[-1], y0=0.0, y1=top[-1],
    )  # fmt: skip
    parts = [plot.level(level, "grid") + plot.level_label(level) for level in top]
    parts += [
        caption(plot.x(tick), plot.height - 18, anchor, number(tick))
        for tick, anchor in ((-half[-1], "start"), (0.0, "middle"), (half[-1], "end"))
    ]
    width = plot.x(edges[1]) - plot.x(edges[0]) - 1
    parts += [
        rect(
            "up" if bin_index >= HISTOGRAM_BINS // 2 else "down",
            plot.x(edges[bin_index]) + 0.5,
            plot.y(count),
            width,
            plot.y(0) - plot.y(count),
        )
        for bin_index, count in enumerate(counts.tolist())
        if count
    ]
    parts.append(plot.upright(0.0, "zero"))
    parts.append(stroke("interval", plot.x(ci[0]), plot.x(ci[1]), 14, 14))
    parts.append(f'<circle class="dot" cx="{plot.x(mean):.1f}" cy="14" r="4"/>')
    parts.append(plot.axis_title("total change of a video"))
    return plot.svg(parts, "total change of the videos")


def score_bar(value: float, ci: Sequence[float], floor: float | None) -> str:
    """Draws the score with its interval from 0 to 1, and the noise floor as a mark.

    Args:
        value: Score, in [0, 1].
        ci: 95 % interval of the score.
        floor: Score of the same segments in random order; None if it is not known.

    Returns:
        An `<svg>` element.
    """
    plot = Plot(width=560, height=54, left=10, right=10, top=10, bottom=26, x0=0, x1=1, y0=0, y1=1)
    middle = plot.y(0.5)
    parts = [
        rect("track", plot.x(0), plot.top, plot.x(1) - plot.x(0), 18),
        rect("fill", plot.x(0), plot.top, plot.x(value) - plot.x(0), 18),
        stroke("interval", plot.x(ci[0]), plot.x(ci[1]), middle, middle),
        *(stroke("interval", plot.x(end), plot.x(end), middle - 5, middle + 5) for end in ci),
    ]
    if floor is not None:
        parts.append(stroke("floor", plot.x(floor), plot.x(floor), 4, 34))
    parts += [caption(plot.x(v), 50, "middle", f"{v:g}") for v in (0, 0.25, 0.5, 0.75, 1)]
    return plot.svg(parts, "drift score")


def sparkline(segments: Sequence[float], scale: float) -> str:
    """Draws the segments of one video around their mean; the full height is the metric's scale.

    Args:
        segments: (segments,) values.
        scale: Change that counts as drift 1; larger ones are cut off.

    Returns:
        An `<svg>` element.
    """
    centre = math.fsum(segments) / len(segments)
    plot = Plot(
        width=SPARK_WIDTH, height=SPARK_HEIGHT, left=2, right=2, top=2, bottom=2,
        x0=0, x1=len(segments) - 1, y0=-scale / 2, y1=scale / 2,
    )  # fmt: skip
    inside = [min(max(v - centre, -scale / 2), scale / 2) for v in segments]
    return (
        f'<svg class="spark" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" aria-hidden="true">'
        f'<polyline points="{plot.points(range(len(inside)), inside)}"/></svg>'
    )


def frame_chart(values: ArrayLike, segments: Sequence[float]) -> str:
    """Draws the values of one video over its frames, and its segment values as steps.

    Args:
        values: (n,) values on the scale of the slopes; they are averaged to at most 80 points.
        segments: (segments,) segment means.

    Returns:
        An `<svg>` element without labels.
    """
    line = bin_means(np.asarray(values, dtype=np.float64), FRAME_POINTS)
    low, high = min(*line, *segments), max(*line, *segments)
    room = 0.05 * (high - low) or 0.5
    plot = Plot(
        width=FRAME_WIDTH, height=FRAME_HEIGHT, left=1, right=1, top=1, bottom=1,
        x0=0, x1=1, y0=low - room, y1=high + room,
    )  # fmt: skip
    places = [(i + 0.5) / len(line) for i in range(len(line))]
    n = len(segments)
    edges = [edge / n for i in range(n) for edge in (i, i + 1)]
    steps = [value for value in segments for _ in range(2)]
    return (
        f'<svg class="frames" viewBox="0 0 {FRAME_WIDTH} {FRAME_HEIGHT}" aria-hidden="true">'
        f'<polyline class="raw" points="{plot.points(places, line)}"/>'
        f'<polyline class="steps" points="{plot.points(edges, steps)}"/></svg>'
    )


def bin_means(values: NDArray[np.float64], most: int) -> list[float]:
    """Means of `most` equal parts of the values; the values themselves if they are no more."""
    if values.size <= most:
        return [float(value) for value in values]
    edges = np.arange(most + 1) * values.size // most
    return [float(values[a:b].mean()) for a, b in itertools.pairwise(edges)]


def distance_chart(
    seconds: Sequence[float], mean: Sequence[float], band: Sequence[Sequence[float]]
) -> str:
    """Draws a metric of two frames against their distance in time, on a logarithmic axis.

    Args:
        seconds: Distances, rising.
        mean: Mean over the videos at each distance.
        band: 95 % interval of each mean.

    Returns:
        An `<svg>` element.
    """
    lower, upper = [pair[0] for pair in band], [pair[1] for pair in band]
    levels = ticks([*mean, *lower, *upper])
    places = np.log2(seconds).tolist()
    plot = Plot(
        width=560, height=250, left=58, right=30, top=10, bottom=34,
        x0=places[0], x1=places[-1], y0=levels[0], y1=levels[-1],
    )  # fmt: skip
    whole = range(math.ceil(places[0]), math.floor(places[-1]) + 1)
    parts = [plot.level(level, "grid") + plot.level_label(level) for level in levels]
    parts += [caption(plot.x(power), 232, "middle", number(2.0**power)) for power in whole]
    parts.append(plot.polygon("band", places, upper, lower))
    parts.append(f'<polyline class="median" points="{plot.points(places, mean)}"/>')
    parts.append(plot.axis_title("seconds between the frames"))
    return plot.svg(parts, "value by distance in time")


def seam_chart(profile: Sequence[float], first: int, ci95: Sequence[float]) -> str:
    """Draws the median ratio at each phase of a block, the border in the middle.

    Args:
        profile: (block,) ratio at each phase.
        first: Frames of the first block.
        ci95: 95 % interval of the ratio at the border.

    Returns:
        An `<svg>` element.
    """
    block = len(profile)
    shifts = list(range(-(block // 2), block - block // 2))
    phase = (first - 1) % block
    ratios = [profile[(phase + shift) % block] for shift in shifts]
    levels = ticks([0.9, 1.1, *ratios, *ci95])
    plot = Plot(
        width=440, height=220, left=44, right=12, top=10, bottom=34,
        x0=shifts[0] - 0.5, x1=shifts[-1] + 0.5, y0=levels[0], y1=levels[-1],
    )  # fmt: skip
    parts = [plot.level(level, "grid") + plot.level_label(level) for level in levels]
    parts += [
        caption(plot.x(shift), 202, "middle", number(shift)) for shift in shifts if shift % 2 == 0
    ]
    parts.append(plot.level(1.0, "zero"))
    for shift, ratio in zip(shifts, ratios, strict=True):
        top, bottom = plot.y(max(ratio, 1.0)), plot.y(min(ratio, 1.0))
        kind = "border" if shift == 0 else "phase"
        parts.append(rect(kind, plot.x(shift - 0.35), top, plot.x(0.7) - plot.x(0), bottom - top))
    low, high = ci95
    middle = plot.x(0)
    parts.append(stroke("interval", middle, middle, plot.y(low), plot.y(high)))
    parts.append(plot.axis_title("frames from the border of a block"))
    return plot.svg(parts, "change at each phase of a block")
