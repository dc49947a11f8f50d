"""Drift of a series of segment values or of per-frame values."""

import functools
import itertools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_ENUMERATED_SEGMENTS = 7  # 7! = 5040 orders; above it that many are drawn with a fixed seed
FRAMEPACK_PERCENT = 15  # arXiv 2504.12626: first and last 15 % of the frames
VDE_CHUNKS = 10  # arXiv 2511.22973 (LV-Bench): N = 10


def slope(values: ArrayLike) -> NDArray[np.float64]:
    """Least-squares slope over equally spaced values, per step.

    Written in differences of mirrored entries, b = sum_i (n - 1 - 2 i) (m_{n-1-i} - m_i) / (2 Sxx)
    over the first half, with Sxx = n (n^2 - 1) / 12. So equal values give exactly 0 and reversed
    values exactly the negative. For n = 5: (2 (m5 - m1) + (m4 - m2)) / 10.

    Args:
        values: (..., n), n >= 2.

    Returns:
        float64 (...).

    Raises:
        ValueError: fewer than two values.
    """
    array = np.asarray(values, dtype=np.float64)
    n = array.shape[-1] if array.ndim else 0
    if n < 2:
        raise ValueError(f"a slope needs at least 2 values, not {n}")
    half = n // 2
    gaps = array[..., : n - half - 1 : -1] - array[..., :half]
    lever = (n - 1 - 2 * np.arange(half)).astype(np.float64)
    total: NDArray[np.float64] = (gaps * lever).sum(axis=-1) / (n * (n * n - 1) / 6)
    return total


def permuted_slopes(values: ArrayLike) -> NDArray[np.float64]:
    """Slopes of the same segment values in every order, that is without any trend in time.

    Their mean absolute value is the floor to read an absolute slope against: it is positive
    without drift, and larger for a more dynamic video. All n! orders are taken for n <= 7 (120 for
    five segments); above that 5040 orders are drawn from a fixed seed.

    Args:
        values: (..., n).

    Returns:
        float64 (..., orders); exactly 0 where all values are equal.
    """
    array = np.asarray(values, dtype=np.float64)
    offsets = array - array[..., :1]
    # einsum does not call BLAS here, so that the sum does not depend on the number of threads.
    slopes: NDArray[np.float64] = np.einsum(
        "...n,on->...o", offsets, _order_levers(array.shape[-1])
    )
    return slopes


@functools.cache
def _order_levers(num_values: int) -> NDArray[np.float64]:
    """(orders, n): the dot product of a row with the values is the slope of one order of them."""
    if num_values <= MAX_ENUMERATED_SEGMENTS:
        orders = np.array(list(itertools.permutations(range(num_values))))
    else:
        rng = np.random.default_rng(0)
        orders = np.array([rng.permutation(num_values) for _ in range(5040)])
    centred = orders - (num_values - 1) / 2
    levers: NDArray[np.float64] = centred / (num_values * (num_values**2 - 1) / 12)
    return levers


def framepack_delta15(values: ArrayLike) -> float:
    """Start-end contrast |mean of the first 15 % - mean of the last 15 %| of the values.

    Args:
        values: (n,) per-frame values, not logarithms; n >= 1. At least one value is taken.

    Returns:
        The contrast in the unit of the values, >= 0.

    Source: FramePack, arXiv 2504.12626; the same formula in Helios, arXiv 2603.04379.
    """
    array = np.asarray(values, dtype=np.float64)
    count = max(1, array.size * FRAMEPACK_PERCENT // 100)
    return abs(float(array[:count].mean() - array[-count:].mean()))


def vde(values: ArrayLike) -> float | None:
    """Video drift error, the linear-weight variant with N = 10 chunks, an unnormalised sum.

    VDE = sum over i = 2..N of (N - i + 1) |m_i - m_1| / |m_1|, so early chunks weigh most. The
    release returns infinity for m_1 = 0; here the value is undefined and left out of means.

    Args:
        values: (n,) per-frame values, not logarithms.

    Returns:
        The error, >= 0; None with fewer than 10 values or m_1 = 0.

    Source: LV-Bench / BlockVid, arXiv 2511.22973 (the paper also has log weights).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size < VDE_CHUNKS:
        return None
    edges = [i * array.size // VDE_CHUNKS for i in range(VDE_CHUNKS + 1)]
    first = array[0]  # means are taken around it, so that equal values give exactly 0
    chunks = first + np.add.reduceat(array - first, edges[:-1]) / np.diff(edges)
    means: list[float] = chunks.tolist()
    if means[0] == 0:
        return None
    weights = range(VDE_CHUNKS - 1, 0, -1)
    terms = (w * abs(m - means[0]) for w, m in zip(weights, means[1:], strict=True))
    return math.fsum(terms) / abs(means[0])
