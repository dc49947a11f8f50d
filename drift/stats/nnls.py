"""Non-negative least squares."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

TOLERANCE = 1e-12  # relative to the largest entry of A^T b


def nnls(matrix: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """Finds x >= 0 that minimises |A x - b|, by the active-set method.

    Args:
        matrix: A, (rows, columns), of full column rank.
        target: b, (rows,).

    Returns:
        float64 (columns,).

    Raises:
        ArithmeticError: no solution within 30 x columns steps.

    Source: Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23.
    """
    a, b = np.asarray(matrix, dtype=np.float64), np.asarray(target, dtype=np.float64)
    x = np.zeros(a.shape[1])
    free = np.zeros(a.shape[1], dtype=bool)
    tolerance = TOLERANCE * max(1.0, float(np.abs(a.T @ b).max()))
    for _ in range(30 * a.shape[1]):
        gradient = a.T @ (b - a @ x)
        if free.all() or gradient[~free].max() <= tolerance:
            return x
        free[np.argmax(np.where(free, -np.inf, gradient))] = True
        x = _move(a, b, x, free)
    raise ArithmeticError(f"no non-negative solution found for a {a.shape} matrix")


def _move(
    a: NDArray[np.float64], b: NDArray[np.float64], x: NDArray[np.float64], free: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Moves to the least-squares point of the free columns; fixes those that reach 0 on the way."""
    while True:
        best = np.zeros_like(x)
        best[free] = np.linalg.lstsq(a[:, free], b, rcond=None)[0]
        below = free & (best <= 0)
        if not below.any():
            return best
        way = np.where(below, x - best, np.inf)
        steps = np.where(below, np.divide(x, way, out=np.zeros_like(x), where=way > 0), np.inf)
        step = float(steps.min())
        free &= steps > step  # fixes at least one column, however x was rounded
        x = np.where(free, np.maximum(0.0, x + step * (best - x)), 0.0)
        if not free.any():
            return x
