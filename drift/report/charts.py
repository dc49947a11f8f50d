"""Charts as inline SVG, coloured by CSS. They contain numbers only, so nothing needs escaping."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drift.report.plot import Plot, caption, number, rect, stroke, ticks

MAX_LINES = 60  # more videos are drawn as the range that holds nine in ten of them
HISTOGRAM_BINS = 16
SPARK_WIDTH, SPARK_HEIGHT = 64, 20
FRAME_WIDTH, FRAME_HEIGHT, FRAME_POINTS = 240, 72, 80


def segment_chart(
    videos: Sequence[Sequence[float]], mean: Sequence[float], band: Sequence[Sequence[float]]
) -> str:
    """Draws the segment values of one metric: thin lines for videos, a thick one for their mean.

    Args:
        videos: (videos, segments) segment values.
        mean: (segments,) mean over the videos.
        band: (segments, 2) 95 % interval of the mean, drawn as a band.

    Returns:
        An `<svg>` element.
    """
    n = len(mean)
    many = len(videos) > MAX_LINES
    lower, upper = [pair[0] for pair in band], [pair[1] for pair in band]
    lines: Sequence[Sequence[float]] = videos
    if many:
        lines = np.percentile(np.asarray(videos), [5, 95], axis=0).tolist()
    levels = ticks([v for line in (*lines, mean, lower, upper) for v in line])
    plot = Plot(
        width=440, height=240, left=58, right=10, top=10, bottom=34,
        x0=0.5, x1=n + 0.5, y0=levels[0], y1=levels[-1],
    )  # fmt: skip
    steps = range(1, n + 1)
    parts = [plot.level(level, "grid") + plot.level_label(level) for level in levels]
    parts += [caption(plot.x(i), plot.height - 18, "middle", str(i)) for i in steps]
    if many:
        parts.append(plot.polygon("spread", steps, lines[1], lines[0]))
    else:
        parts += [f'<polyline class="video" points="{plot.points(steps, y)}"/>' for y in lines]
    parts.append(plot.polygon("band", steps, upper, lower))
    parts.append(f'<polyline class="mean" points="{plot.points(steps, mean)}"/>')
    parts.append(plot.axis_title("segment"))
    return plot.svg(parts, "segment values")


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
