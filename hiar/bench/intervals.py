"""How evenly blocks come: percentiles of the interval between blocks, and deadlines missed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hiar.bench.rows import IntervalFigures

PERCENTILES = (50, 95, 99)


def interval_figures(
    runs: Sequence[Sequence[float]],
    steady: Sequence[int],
    *,
    deadline_s: float,
    work_s: Sequence[Sequence[float]] | None = None,
) -> IntervalFigures:
    """Percentiles over all runs together, and how many blocks came too late to play on.

    Args:
        runs: For each run, the seconds from its start until each block was there.
        steady: Blocks whose window is full.
        deadline_s: Seconds that a block's frames play.
        work_s: For each run, the seconds of each block's compute, for an order that finishes all
            blocks in its last sweep; None for one that streams.
    """
    gaps = [np.diff(ends) for ends in runs]  # gap b is that before block b + 1
    if work_s is None:
        values = [gap[block - 1] for gap in gaps for block in steady if block > 0]
    else:
        values = [run[block] for run in work_s for block in steady]
    values = values or [ends[0] for ends in runs]  # a video of one block
    p50, p95, p99 = (float(value) for value in np.percentile(values, PERCENTILES))
    late = sum(int(np.count_nonzero(gap > deadline_s)) for gap in gaps)
    return IntervalFigures(
        interval_p50_s=p50,
        interval_p95_s=p95,
        interval_p99_s=p99,
        interval_count=len(values),
        deadline_s=deadline_s,
        deadline_misses=late if work_s is None else None,
        deadline_blocks=sum(len(gap) for gap in gaps),
    )
