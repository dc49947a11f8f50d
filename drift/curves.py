"""Segment curves as inline SVG: each video a thin line, the mean a thick one on its 95 % band."""

import math
from collections.abc import Sequence

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 12, 34


def segment_chart(
    videos: Sequence[Sequence[float]], mean: Sequence[float], band: Sequence[Sequence[float]]
) -> str:
    """Draws one metric.

    Args:
        videos: (videos, segments) segment values.
        mean: (segments,) their mean.
        band: (segments, 2) interval of the mean.

    Returns:
        An `<svg>` element; only numbers enter it, so nothing needs escaping.
    """
    ticks = _ticks([v for line in (*videos, mean, *band) for v in line])
    low, high, n = ticks[0], ticks[-1], len(mean)

    def x(i: float) -> float:
        return LEFT + (i + 0.5) * (WIDTH - LEFT - RIGHT) / n

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def points(values: Sequence[float]) -> str:
        return " ".join(f"{x(i):.2f},{y(v):.2f}" for i, v in enumerate(values))

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg">']
    parts += [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.2f}" '
        f'y2="{y(tick):.2f}"/><text class="tick" x="{LEFT - 7}" y="{y(tick) + 4:.2f}" '
        f'text-anchor="end">{tick:.6g}</text>'
        for tick in ticks
    ]
    parts += [
        f'<text class="tick" x="{x(i):.2f}" y="{HEIGHT - 18}" text-anchor="middle">{i + 1}</text>'
        for i in range(n)
    ]
    upper, lower = [pair[1] for pair in band], [pair[0] for pair in band]
    back = " ".join(reversed(points(lower).split(" ")))
    parts.append(f'<polygon class="band" points="{points(upper)} {back}"/>')
    parts += [f'<polyline class="video" points="{points(line)}"/>' for line in videos]
    parts.append(f'<polyline class="mean" points="{points(mean)}"/>')
    parts.append(
        f'<text class="tick" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 3}" '
        'text-anchor="middle">segment</text></svg>'
    )
    return "".join(parts)


def _ticks(values: Sequence[float], about: int = 5) -> list[float]:
    """Round numbers that enclose the values, about `about` of them."""
    low, high = min(values), max(values)
    span = max(high - low, 1e-3 * max(abs(low), abs(high)), 1e-9)
    magnitude = 10.0 ** math.floor(math.log10(span / about))
    step = magnitude * next(m for m in (1, 2, 5, 10) if m * magnitude * about >= span)
    first, last = math.floor(low / step), math.ceil(high / step)
    if first == last:
        first, last = first - 1, last + 1
    return [i * step for i in range(first, last + 1)]
