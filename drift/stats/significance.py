"""Tests of paired differences: sign flips, effect size, share of pairs, Holm's correction."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drift.stats.bootstrap import cluster_totals

MAX_ENUMERATED_CLUSTERS = 16  # 2^15 = 32 768 sign patterns: a pattern and its mirror image are one
FLIPS = 100_000
SEED = 0
_TIE = 1e-12  # relative tolerance: sums in another order differ by rounding


def sign_flip_p(differences: Sequence[float], clusters: Sequence[str]) -> float:
    """Two-sided p-value of the mean difference, by flipping signs of whole clusters.

    If two runs do not differ, the differences of a prompt are as likely to have the opposite sign.
    All sign patterns are counted for up to 16 clusters, so with n clusters no p-value is below
    2 / 2^n. For more clusters 100 000 patterns are drawn from a fixed seed, and
    p = (1 + hits) / (1 + draws).

    Args:
        differences: (pairs,) finite; at least one.
        clusters: (pairs,) name of each pair's cluster.

    Returns:
        A value in (0, 1].
    """
    column = np.asarray(differences, dtype=np.float64)[:, None]
    sums = cluster_totals(column, clusters)[0][:, 0]
    bound = abs(sums.sum()) - _TIE * np.abs(sums).sum()
    if len(sums) <= MAX_ENUMERATED_CLUSTERS:
        others = np.arange(2 ** (len(sums) - 1))
        flipped = (others[:, None] >> np.arange(len(sums) - 1)) & 1
        totals = sums[0] + (1 - 2 * flipped) @ sums[1:]
        return float((np.abs(totals) >= bound).mean())
    rng, hits, rows = np.random.default_rng(SEED), 0, 10_000
    for _ in range(FLIPS // rows):
        signs = 2.0 * rng.integers(2, size=(rows, len(sums))) - 1.0
        hits += int((np.abs(np.einsum("rc,c->r", signs, sums)) >= bound).sum())
    return (1 + hits) / (1 + FLIPS)


def cohen_dz(differences: Sequence[float]) -> float | None:
    """Effect size of paired data: mean difference over the standard deviation of the differences.

    Args:
        differences: (pairs,).

    Returns:
        The effect size; None with fewer than two pairs or equal differences.

    Source: Cohen 1988, d_z; about 0.2 is called small, 0.5 medium, 0.8 large.
    """
    array = np.asarray(differences, dtype=np.float64)
    if array.size < 2 or np.ptp(array) == 0:
        return None
    return float(array.mean() / array.std(ddof=1))


def share_above(differences: Sequence[float]) -> float:
    """Share of the pairs with a positive difference; a tie counts half.

    Args:
        differences: (pairs,), at least one.

    Returns:
        A value in [0, 1].
    """
    return float((np.sign(np.asarray(differences, dtype=np.float64)) / 2 + 0.5).mean())


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: the chance of any false finding stays below the level.

    Args:
        p_values: (tests,).

    Returns:
        Adjusted values in the order given, each at most 1.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    array = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(array, kind="stable")
    steps = array[order] * np.arange(array.size, 0, -1)
    adjusted: NDArray[np.float64] = np.empty_like(array)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return [float(value) for value in adjusted]
