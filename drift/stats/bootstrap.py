"""Percentile bootstrap over prompts: the videos of one prompt are drawn together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 10_000
SEED = 0
LEVEL = 0.95
ABOUT = {"resamples": RESAMPLES, "seed": SEED, "level": LEVEL, "unit": "prompt"}
"""What a record says about its intervals."""
_BATCH_CELLS = 2**21  # drawn indices held in memory at once


def cluster_totals(
    values: NDArray[np.float64], clusters: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum of the values and number of the videos of each cluster, in sorted order of the names.

    Args:
        values: (videos, columns).
        clusters: (videos,) name of each video's cluster.

    Returns:
        Sums (clusters, columns) and counts (clusters,).
    """
    names = sorted(set(clusters))
    position = {name: i for i, name in enumerate(names)}
    index = np.array([position[cluster] for cluster in clusters])
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, index, values)
    return sums, np.bincount(index, minlength=len(names)).astype(np.float64)


def bootstrap_means(values: NDArray[np.float64], clusters: Sequence[str]) -> NDArray[np.float64]:
    """Means over videos in each resample of clusters, drawn with replacement.

    A resample draws as many clusters as there are and takes the mean over all their videos. The
    seed is fixed, so equal input gives equal output, and every column sees the same draws.

    Args:
        values: (videos, columns), finite; at least one video.
        clusters: (videos,) name of each video's cluster, its prompt.

    Returns:
        float64 (10 000 resamples, columns).

    Raises:
        ValueError: no video, lengths that differ, or a value that is not finite.
    """
    if len(clusters) == 0 or len(clusters) != len(values):
        raise ValueError(f"{len(values)} values do not fit {len(clusters)} clusters")
    if not np.isfinite(values).all():
        raise ValueError("a bootstrap needs finite values")
    sums, sizes = cluster_totals(values, clusters)
    # Each column is one contiguous row. einsum does not call BLAS here, so that the result does
    # not depend on the number of threads.
    columns = np.ascontiguousarray(np.column_stack([sums, sizes]).T)
    rng, num = np.random.default_rng(SEED), len(sizes)
    rows = max(1, _BATCH_CELLS // num)
    means = []
    for start in range(0, RESAMPLES, rows):
        drawn = rng.integers(num, size=(min(rows, RESAMPLES - start), num))
        cells = (drawn + num * np.arange(len(drawn))[:, None]).ravel()
        times = np.bincount(cells, minlength=drawn.size).reshape(drawn.shape).astype(np.float64)
        totals = np.einsum("rc,kc->rk", times, columns)
        means.append(totals[:, :-1] / totals[:, -1:])
    return np.concatenate(means)


def percentile_interval(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 2.5 % and 97.5 % percentiles of resamples.

    Args:
        draws: (resamples, ...).

    Returns:
        float64 (..., 2).
    """
    tails = [50 * (1 - LEVEL), 50 * (1 + LEVEL)]
    return np.moveaxis(np.percentile(draws, tails, axis=0), 0, -1)


def change_interval(draws: NDArray[np.float64]) -> tuple[float, float] | None:
    """95 % interval of the relative change from the first column to the second.

    Args:
        draws: (resamples, 2) means from `bootstrap_means`, >= 0.

    Returns:
        The interval of second / first - 1; None if the first mean is 0 in some resample.
    """
    if draws[:, 0].min() <= 0:
        return None
    low, high = percentile_interval(draws[:, 1] / draws[:, 0] - 1).tolist()
    return low, high


def bootstrap_ci(values: ArrayLike, clusters: Sequence[str]) -> NDArray[np.float64]:
    """95 % interval of the mean over videos, resampling clusters with replacement.

    A single cluster gives an interval of width 0, which carries no information.

    Args:
        values: (videos,) or (videos, columns), finite; at least one video.
        clusters: (videos,) name of each video's cluster, its prompt.

    Returns:
        float64 (2,) or (columns, 2): the 2.5 % and 97.5 % percentiles of `bootstrap_means`.

    Raises:
        ValueError: no video, lengths that differ, or a value that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    table = array.reshape(len(array), -1) if array.size else array.reshape(0, 1)
    interval = percentile_interval(bootstrap_means(table, clusters))
    return interval[0] if array.ndim == 1 else interval
