"""Correlation of the metrics' slopes over videos: two that move together count double."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

MIN_VIDEOS = 3  # two points always lie on a line


def pearson(columns: ArrayLike) -> list[list[float | None]]:
    """Pearson correlation of every two columns.

    Args:
        columns: (videos, columns), finite.

    Returns:
        Symmetric table with 1 on its diagonal; None where a column is constant or there are fewer
        than three videos.
    """
    table = np.asarray(columns, dtype=np.float64)
    if len(table) < MIN_VIDEOS:
        return [[None] * table.shape[1] for _ in range(table.shape[1])]
    varies = np.ptp(table, axis=0) > 0
    centred = table - table.mean(axis=0)
    length = np.where(varies, np.sqrt((centred**2).sum(axis=0)), 1.0)
    unit = centred / length
    return [
        [
            _clipped(unit[:, i], unit[:, j]) if varies[i] and varies[j] else None
            for j in range(len(varies))
        ]
        for i in range(len(varies))
    ]


def spearman(columns: ArrayLike) -> list[list[float | None]]:
    """Spearman correlation of every two columns: Pearson of their ranks, ties at their mean.

    Args:
        columns: (videos, columns), finite.

    Returns:
        A table like that of `pearson`.
    """
    table = np.asarray(columns, dtype=np.float64)
    return pearson(np.stack([ranks(column) for column in table.T], axis=1))


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of their ranks.

    Args:
        values: (n,).

    Returns:
        float64 (n,).
    """
    array = np.asarray(values, dtype=np.float64)
    _, place, counts = np.unique(array, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank: NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return mean_rank


def _clipped(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Dot product of unit vectors: within [-1, 1] and 1 with itself, whatever the rounding."""
    if np.array_equal(left, right):
        return 1.0
    return float(np.clip((left * right).sum(), -1.0, 1.0))
