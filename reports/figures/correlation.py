"""Pearson's correlation with its 95 % interval, for Fig. 4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from drift.stats.correlation import pearson
from reports.tables.text import MINUS

Z_95 = 1.959964
"""Two-sided 95 % quantile of the standard normal distribution."""


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """Pearson's r of n pairs; None where a side is constant or fewer than three pairs are there."""

    r: float | None
    interval: tuple[float, float] | None
    n: int

    def text(self) -> str:
        """Words the correlation in one line."""
        if self.r is None:
            return f"no correlation can be given (n = {self.n})"
        text = f"Pearson r = {self.r:.3f}"
        if self.interval is not None:
            text += " [{:.3f}, {:.3f}]".format(*self.interval)
        return f"{text}, n = {self.n}".replace("-", MINUS)


def pearson_with_interval(x: Sequence[float], y: Sequence[float]) -> Correlation:
    """Correlates two series.

    Args:
        x, y: Series of equally many finite numbers.

    Returns:
        r, and tanh(atanh(r) +- 1.96 / sqrt(n - 3)) for four pairs or more with |r| < 1.

    Source:
        R. A. Fisher, "On the probable error of a coefficient of correlation", 1921.
    """
    r = pearson(list(zip(x, y, strict=True)))[0][1]
    interval = None
    if r is not None and len(x) > 3 and abs(r) < 1:
        half = Z_95 / math.sqrt(len(x) - 3)
        interval = math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)
    return Correlation(r=r, interval=interval, n=len(x))
