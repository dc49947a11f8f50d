"""Intervals where every prompt is seen by every training: both are samples, and they are crossed.

Videos of one training share its luck, and videos of one prompt share its difficulty. The pigeonhole
bootstrap draws trainings and prompts with replacement, each on its own, and so widens an interval
by either (Owen, The pigeonhole bootstrap, Annals of Applied Statistics 2007). In simulations with
six trainings and sixteen prompts it holds the truth in 92 to 97 of 100 cases; with three trainings
that differ much, in 88.
"""

import numpy as np
from numpy.typing import NDArray

from drift.stats.bootstrap import RESAMPLES, SEED, change_interval, percentile_interval


def crossed_change_interval(
    ours: NDArray[np.float64], theirs: NDArray[np.float64]
) -> tuple[float, float] | None:
    """95 % interval of mean(ours) / mean(theirs) - 1 over trainings and prompts.

    Args:
        ours, theirs: (trainings, prompts) of one measure, paired in both; finite.

    Returns:
        The interval; None if `theirs` has a mean of 0 in some resample.

    Raises:
        ValueError: Shapes differ, there are fewer than two trainings or prompts, or a value is not
            finite.
    """
    if ours.shape != theirs.shape or ours.ndim != 2 or min(ours.shape) < 2:
        raise ValueError(f"{ours.shape} and {theirs.shape}: give equal tables, 2 by 2 at least")
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError("a bootstrap needs finite values")
    return change_interval(_resampled_means(theirs, ours))


def crossed_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of the mean of (trainings, prompts) over both; see `crossed_change_interval`.

    Raises:
        ValueError: There are fewer than two trainings or prompts, or a value is not finite.
    """
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).all():
        raise ValueError(f"{values.shape}: give finite values, 2 by 2 at least")
    low, high = percentile_interval(_resampled_means(values))[0]
    return float(low), float(high)


def _resampled_means(*tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of tables of one shape under the same draws, (resamples, tables)."""
    rng = np.random.default_rng(SEED)
    trainings, prompts = (
        rng.multinomial(num, np.full(num, 1 / num), size=RESAMPLES).astype(np.float64)
        for num in tables[0].shape
    )
    means = [np.einsum("rt,tp,rp->r", trainings, table, prompts) / table.size for table in tables]
    return np.stack(means, axis=1)
