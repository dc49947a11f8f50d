"""How a metric drifts: along a line, in one sudden step, or neither."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Kind: TypeAlias = Literal["flat", "gradual", "sudden", "irregular"]
CLEAR_FIT = 0.8  # share of the variance between segments that a line or a step must explain


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Descriptions of segment values that stand beside their slope.

    Args:
        line_r2: Share of the variance between segments that a straight line explains, in [0, 1];
            None if all segments are equal.
        step_r2: Share that the best single step from one level to another explains.
        step_at: Number of segments before that step, 1 to n - 1; None if all segments are equal.
        curvature: Coefficient c of the least-squares parabola a + b i + c i^2 over segments i, so
            a drift that speeds up has the sign of its slope; None with fewer than 3 segments.
    """

    line_r2: float | None
    step_r2: float | None
    step_at: int | None
    curvature: float | None

    @property
    def kind(self) -> Kind:
        """`flat`, or what explains at least 0.8 of the variance: a line or, better, a step.

        It is a description, not a test: among series of five segments of white noise 3 % are
        called gradual and 15 % sudden.
        """
        if self.line_r2 is None or self.step_r2 is None:
            return "flat"
        if max(self.line_r2, self.step_r2) < CLEAR_FIT:
            return "irregular"
        return "sudden" if self.step_r2 > self.line_r2 else "gradual"


def describe_shape(values: ArrayLike) -> Shape:
    """Fits a line, a step and a parabola to segment values.

    Args:
        values: (n,) segment values, n >= 2.

    Returns:
        The share of the variance that each fit explains.
    """
    array = np.asarray(values, dtype=np.float64)
    curvature = _curvature(array)
    centred = array - array[0]
    centred = centred - centred.mean()
    total = float(centred @ centred)
    if total == 0 or np.ptp(array) == 0:
        return Shape(line_r2=None, step_r2=None, step_at=None, curvature=curvature)
    place = np.arange(array.size) - (array.size - 1) / 2
    line = float(place @ centred) ** 2 / float(place @ place)
    # A step after k segments explains (sum of the first k)^2 n / (k (n - k)) of a centred series.
    before = np.arange(1, array.size)
    steps = np.cumsum(centred)[:-1] ** 2 * array.size / (before * (array.size - before))
    best = int(np.argmax(steps))
    return Shape(
        line_r2=min(1.0, line / total),
        step_r2=min(1.0, float(steps[best]) / total),
        step_at=best + 1,
        curvature=curvature,
    )


def _curvature(values: NDArray[np.float64]) -> float | None:
    """Projection on the quadratic orthogonal polynomial; for n = 5: (2, -1, -2, -1, 2) / 14."""
    n = values.size
    if n < 3:
        return None
    bend = (np.arange(n) - (n - 1) / 2) ** 2
    bend -= bend.mean()
    return float(bend @ (values - values[0])) / float(bend @ bend)
