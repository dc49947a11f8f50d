"""Percentile bootstrap over prompts: videos of one prompt are drawn together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 10_000
SEED = 0
LEVEL = 0.95
_BATCH_CELLS = 2**21  # drawn indices held at once


def cluster_totals(
    values: NDArray[np.float64], clusters: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and number of the videos of each cluster, clusters in sorted order.

    Args:
        values: (videos, columns).
        clusters: (videos,) names.

    Returns:
        Sums (clusters, columns) and counts (clusters,).
    """
    names = sorted(set(clusters))
    position = {name: i for i, name in enumerate(names)}
    index = np.array([position[cluster] for cluster in clusters])
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, index, values)
    return sums, np.bincount(index, minlength=len(names)).astype(np.float64)


def bootstrap_ci(values: ArrayLike, clusters: Sequence[str]) -> NDArray[np.float64]:
    """95 % interval of the mean over videos, resampling clusters with replacement.

    A resample draws as many clusters as there are and takes the mean over all their videos. The
    seed is fixed, so equal input gives equal output, and every column sees the same draws. One
    cluster alone gives an interval of width 0: it says nothing then.

    Args:
        values: (videos,) or (videos, columns), finite; at least one video.
        clusters: (videos,) name of each video's cluster, its prompt.

    Returns:
        float64 (2,) or (columns, 2): the 2.5 % and 97.5 % percentiles of 10 000 resamples.

    Raises:
        ValueError: no video, lengths that differ, or a value that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if len(clusters) == 0 or len(clusters) != len(array):
        raise ValueError(f"{len(array)} values do not fit {len(clusters)} clusters")
    table = array.reshape(len(array), -1)
    if not np.isfinite(table).all():
        raise ValueError("a bootstrap needs finite values")
    sums, counts = cluster_totals(table, clusters)
    rng = np.random.default_rng(SEED)
    rows = max(1, _BATCH_CELLS // len(counts))
    means = []
    for start in range(0, RESAMPLES, rows):
        shape = (min(rows, RESAMPLES - start), len(counts))
        drawn = rng.integers(len(counts), size=shape)
        total = np.stack([column[drawn].sum(axis=1) for column in sums.T], axis=1)
        means.append(total / counts[drawn].sum(axis=1)[:, None])
    tails = [50 * (1 - LEVEL), 50 * (1 + LEVEL)]
    interval: NDArray[np.float64] = np.percentile(np.concatenate(means), tails, axis=0).T
    return interval[0] if array.ndim == 1 else interval
