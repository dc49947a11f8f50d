"""Linear axes, round ticks, and helpers that write SVG elements; CSS colours them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A rectangle with linear axes; its data (x0..x1, y0..y1) lie inside margins in SVG units."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x0: float
    x1: float
    y0: float
    y1: float

    def x(self, value: float) -> float:
        """Horizontal position of a value."""
        share = (value - self.x0) / (self.x1 - self.x0)
        return self.left + share * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        """Vertical position of a value; SVG counts downwards."""
        share = (self.y1 - value) / (self.y1 - self.y0)
        return self.top + share * (self.height - self.top - self.bottom)

    def points(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        """The `points` attribute of a polyline."""
        return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in zip(xs, ys, strict=True))

    def svg(self, parts: Sequence[str], label: str) -> str:
        """An `<svg>` element; `label`, which is not escaped, is what a screen reader says."""
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" aria-label="{label}" '
            f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
        )

    def level(self, value: float, css: str) -> str:
        """A horizontal line through the plot."""
        return stroke(css, self.left, self.width - self.right, self.y(value), self.y(value))

    def upright(self, value: float, css: str) -> str:
        """A vertical line through the plot."""
        return stroke(css, self.x(value), self.x(value), self.top, self.height - self.bottom)

    def polygon(
        self, css: str, xs: Sequence[float], upper: Sequence[float], lower: Sequence[float]
    ) -> str:
        """The area between two lines."""
        back = self.points(list(xs)[::-1], list(lower)[::-1])
        return f'<polygon class="{css}" points="{self.points(xs, upper)} {back}"/>'

    def axis_title(self, words: str) -> str:
        """What the horizontal axis shows, below the plot."""
        return caption((self.left + self.width - self.right) / 2, self.height - 3, "middle", words)

    def level_label(self, level: float) -> str:
        """The number at a tick of the vertical axis."""
        return caption(self.left - 6, self.y(level) + 4, "end", number(level))


def ticks(values: Sequence[float], about: int = 5, *, whole: bool = False) -> list[float]:
    """Round numbers that enclose the values, about `about` of them; whole numbers if asked."""
    low, high = min(values), max(values)
    span = max(high - low, 1e-3 * max(abs(low), abs(high)), 1e-9)
    magnitude = 10.0 ** math.floor(math.log10(span / about))
    step = magnitude * next(m for m in (1, 2, 5, 10) if m * magnitude * about >= span)
    step = max(step, 1.0) if whole else step
    first, last = math.floor(low / step), math.ceil(high / step)
    if first == last:
        first, last = (0, 1) if whole else (first - 1, last + 1)
    return [i * step for i in range(first, last + 1)]


def stroke(css: str, x1: float, x2: float, y1: float, y2: float) -> str:
    """A straight line."""
    return f'<line class="{css}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def rect(css: str, x: float, y: float, width: float, height: float) -> str:
    """A filled rectangle."""
    return (
        f'<rect class="{css}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )


def caption(x: float, y: float, anchor: str, words: str) -> str:
    """A small text; `words` are not escaped."""
    return f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def number(value: float) -> str:
    """The number of a tick, with a minus sign as wide as a digit."""
    return f"{value:.6g}".replace("-", "−")
