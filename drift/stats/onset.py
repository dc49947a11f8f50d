"""When a series leaves its start for good."""

import numpy as np
from numpy.typing import ArrayLike


def onset(values: ArrayLike, num_first: int, window: int, threshold: float) -> int | None:
    """First place from which every window to the end lies away from the start, on one side.

    Args:
        values: (n,) values in time order.
        num_first: Number of values at the beginning whose mean is the start, >= 1.
        window: Number of values that are averaged before they are compared, >= 1.
        threshold: Distance from the start that counts as away, > 0.

    Returns:
        Index of the first value of that window; None if the end is not away from the start.
    """
    array = np.asarray(values, dtype=np.float64)
    edges = np.arange(0, max(1, array.size - window + 1), window)  # the last one is the longest
    sizes = np.diff(np.append(edges, array.size))
    change = np.add.reduceat(array, edges) / sizes - array[:num_first].mean()
    away = np.sign(change[-1]) * change >= threshold
    if not away[-1]:
        return None
    near = np.flatnonzero(~away)
    return int(edges[near[-1] + 1]) if near.size else 0
