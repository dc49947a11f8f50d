"""How many prompts a comparison needs, and the smallest difference that a number of them can show.

Two-sided tests at 5 %, as `drift.stats.significance` makes them, of means over prompts. Formulas
are those of the t-test, which flips of signs follow closely from a dozen prompts on.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from drift.stats.bootstrap import cluster_totals

ALPHA, POWER = 0.05, 0.80
MIN_PROMPTS = 6
"""Fewest prompts whose 2^n sign patterns allow a p-value of 2 / 2^n below 5 %."""
RESAMPLES = 2000
SEED = 0
_Z_ALPHA = NormalDist().inv_cdf(1 - ALPHA / 2)
_Z_POWER = NormalDist().inv_cdf(POWER)
_PAIRED, _UNPAIRED = (1, _Z_ALPHA**2 / 2), (2, _Z_ALPHA**2 / 4)
"""Variances that a difference of means adds up, and prompts that estimating them costs.

Source: Guenther, "Sample size formulas for normal theory t tests", 1981."""


def prompt_means(values: Sequence[float], clusters: Sequence[str]) -> NDArray[np.float64]:
    """Mean of each prompt's videos, in sorted order of the prompts.

    Args:
        values: (videos,).
        clusters: (videos,) name of each video's cluster, its prompt.
    """
    sums, sizes = cluster_totals(np.asarray(values, dtype=np.float64)[:, None], clusters)
    means: NDArray[np.float64] = sums[:, 0] / sizes
    return means


def prompts_needed(deviation: float, difference: float, *, paired: bool) -> int:
    """Prompts with which a true difference is found in 80 of 100 experiments.

    Args:
        deviation: Standard deviation over prompts: of the differences if paired, else of the
            values of a run.
        difference: True difference of the means, above 0.
        paired: Whether both runs have the same prompts; else the number is for each run.

    Returns:
        At least `MIN_PROMPTS`.
    """
    variances, cost = _PAIRED if paired else _UNPAIRED
    wanted = variances * ((_Z_ALPHA + _Z_POWER) * deviation / difference) ** 2 + cost
    return max(MIN_PROMPTS, math.ceil(wanted))


def power(deviation: float, difference: float, prompts: int, *, paired: bool) -> float:
    """Chance that a true difference is found with this number of prompts; see `prompts_needed`."""
    variances, cost = _PAIRED if paired else _UNPAIRED
    if prompts < MIN_PROMPTS:
        return 0.0
    if deviation == 0:
        return 1.0
    shift = difference / deviation * math.sqrt((prompts - cost) / variances)
    return NormalDist().cdf(shift - _Z_ALPHA)


def smallest_difference(deviation: float, prompts: int) -> float | None:
    """Smallest true difference that pairs of this many prompts show in 80 of 100 experiments.

    Args:
        deviation: Standard deviation of the differences over prompts.
        prompts: Number of prompts.

    Returns:
        The difference, >= 0; None with fewer than `MIN_PROMPTS`, which show none however large.
    """
    if prompts < MIN_PROMPTS:
        return None
    _, cost = _PAIRED
    return (_Z_ALPHA + _Z_POWER) * deviation / math.sqrt(prompts - cost)


def deviation_draws(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviations over prompts in bootstrap resamples, for the spread of what follows.

    Args:
        values: (prompts,), at least two.

    Returns:
        float64 (2000,).
    """
    drawn = np.random.default_rng(SEED).integers(len(values), size=(RESAMPLES, len(values)))
    draws: NDArray[np.float64] = values[drawn].std(axis=1, ddof=1)
    return draws
