"""How much a score, or a ranking by it, depends on the weights that nobody has published."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2_000
SEED = 0


def random_weights(num_metrics: int) -> NDArray[np.float64]:
    """Weights drawn evenly over all that are not negative and sum to 1, from a fixed seed.

    Args:
        num_metrics: Metrics, >= 1.

    Returns:
        float64 (2 000 draws, num_metrics), from Dirichlet(1, ..., 1).
    """
    return np.random.default_rng(SEED).dirichlet(np.ones(num_metrics), size=DRAWS)


def random_weight_scores(drifts: ArrayLike) -> NDArray[np.float64]:
    """Model scores under random weights; a model score is linear in its metrics' mean drifts.

    Args:
        drifts: (..., metrics) mean drift of each metric.

    Returns:
        float64 (2 000 draws, ...).
    """
    array = np.asarray(drifts, dtype=np.float64)
    scores: NDArray[np.float64] = np.einsum("dm,...m->d...", random_weights(array.shape[-1]), array)
    return scores


def kendall_tau(left: ArrayLike, right: ArrayLike) -> float | None:
    """Kendall's tau-b: agreement of two rankings, 1 the same, -1 reversed, ties accounted for.

    Args:
        left: (n,) scores.
        right: (n,) scores of the same things.

    Returns:
        A value in [-1, 1]; None if either has no two different scores.
    """
    signs = [np.sign(np.subtract.outer(side, side)) for side in map(np.asarray, (left, right))]
    untied = [float(np.square(sign).sum()) for sign in signs]
    if not all(untied):
        return None
    return float((signs[0] * signs[1]).sum() / np.sqrt(untied[0] * untied[1]))
