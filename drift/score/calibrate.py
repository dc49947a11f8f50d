"""Fits the scales and weights of a preset, which the paper does not publish."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar, nnls

from drift.errors import UsageError
from drift.metrics.preset import Preset
from drift.score.aggregate import mean
from drift.score.score import VideoScore

REFERENCE_MULTIPLE = 5.0
"""A change that counts as drift 1, as a multiple of a stable reference's root mean square change.

Our choice: the reference itself then scores about 0.16 (E|z| / 5 of a normal z), and a metric
saturates at five times the reference's change.
"""
PULL = 1e-3  # strength that pulls weights to the base preset's where the scores leave them open
SUM_ROW = 1e3  # weight of the equation by which the weights sum to 1
FACTORS = (1e-3, 1e3)  # smallest and largest common factor on the scales that is tried
GRID = 141  # number of factors tried; neighbours differ by a factor of e^0.1
TOLERANCE = 1e-9  # of the logarithm of that factor


@dataclass(frozen=True, kw_only=True)
class Published:
    """A model whose score is published.

    Args:
        name: Name of the model.
        scores: Scored videos of the model.
        target: Published score, in (0, 1].
    """

    name: str
    scores: Sequence[VideoScore]
    target: float


def check_valid(name: str, provenance: Mapping[str, Any]) -> None:
    """Refuses a run whose numbers mean nothing.

    Raises:
        UsageError: the run was measured with random weights.
    """
    if "invalid" in provenance:
        raise UsageError(f"{name} is {provenance['invalid']}; a preset from it would mean nothing")


def reference_preset(
    name: str,
    scores: Sequence[VideoScore],
    *,
    base: Preset,
    multiple: float = REFERENCE_MULTIPLE,
) -> Preset:
    """Scales from a stable reference: `multiple` times the RMS total change of each metric.

    Weights are those of the base preset, rescaled over the metrics measured.

    Args:
        name: Name of the new preset.
        scores: Scored videos of the reference, at least one.
        base: Preset that gives the families and weights.
        multiple: Number of the reference's RMS changes that count as drift 1.

    Returns:
        The preset.

    Raises:
        UsageError: a metric that does not change in the reference, so that it gives no scale.
    """
    if not (math.isfinite(multiple) and multiple > 0):
        raise UsageError(f"multiple is {multiple}; it must be positive")
    metrics = tuple(name for name in scores[0].metrics if base.term(name).weight)
    weights = base.weights(metrics)
    terms = []
    for metric in metrics:
        rms = math.sqrt(mean(score.metrics[metric].total_change ** 2 for score in scores))
        if rms == 0:
            raise UsageError(
                f"{metric} does not change in any video of the reference, so it gives no scale; "
                "use videos that move, or leave the metric out"
            )
        term = base.term(metric)
        terms.append(replace(term, scale=multiple * rms, weight=weights[metric]))
    return Preset(name=name, terms=tuple(terms))


def published_preset(
    name: str, models: Sequence[Published], *, base: Preset
) -> tuple[Preset, dict[str, Any]]:
    """Weights and one common factor on the scales, from models with published scores.

    Minimises sum_i (sum_m w_m d_im - y_i)^2 over weights w >= 0 that sum to 1 and over the factor,
    where d_im is the mean drift of metric m over the videos of model i. For a given factor that is
    a non-negative least-squares problem; the factor is searched. Where the scores leave the
    weights open, a weak pull takes those nearest to the base preset's.

    Args:
        name: Name of the new preset.
        models: Models with published scores, at least one.
        base: Preset that gives the families, the relative scales and the weights to stay near.

    Returns:
        The preset, and facts about the fit: `models` (published and reproduced scores),
        `rms_error`, `rank`, `unknowns` (weights less one, and the factor), `underdetermined`,
        `scale_factor`.

    Raises:
        UsageError: no metric changes in any video.
    """
    metrics = tuple(name for name in models[0].scores[0].metrics if base.term(name).weight)
    targets = np.array([model.target for model in models])
    near = np.array(list(base.weights(metrics).values()))
    scales = np.array([base.term(metric).scale for metric in metrics])
    changes = [
        np.abs([[s.metrics[m].total_change for m in metrics] for s in model.scores]) / scales
        for model in models
    ]
    if not any(change.any() for change in changes):
        raise UsageError("no metric changes in any video of these runs, so nothing can be fitted")

    def fit(log_factor: float) -> tuple[float, NDArray[np.float64]]:
        return _fit(_mean_drifts(changes, log_factor), targets, near)

    log_factor = _lowest(lambda value: fit(value)[0])
    weights, drifts = fit(log_factor)[1], _mean_drifts(changes, log_factor)
    rank, reproduced = int(np.linalg.matrix_rank(drifts)), drifts @ weights
    preset = Preset(
        name=name,
        terms=tuple(
            replace(base.term(metric), scale=float(scale), weight=float(weight))
            for metric, scale, weight in zip(
                metrics, scales * math.exp(log_factor), weights, strict=True
            )
        ),
    )
    return preset, {
        "models": [
            {"name": m.name, "published": m.target, "reproduced": float(r), "videos": len(m.scores)}
            for m, r in zip(models, reproduced, strict=True)
        ],
        "rms_error": float(np.sqrt(np.square(reproduced - targets).mean())),
        "rank": rank,
        "unknowns": len(metrics),
        "underdetermined": rank < len(metrics),
        "scale_factor": math.exp(log_factor),
    }


def _mean_drifts(changes: Sequence[NDArray[np.float64]], log_factor: float) -> NDArray[np.float64]:
    """Mean drift of each model and metric, (models, metrics), if all scales grow by one factor.

    Args:
        changes: For each model |total change| / base scale, (videos, metrics).
        log_factor: Natural logarithm of the factor on the scales.
    """
    shrunk = (np.minimum(1.0, change / math.exp(log_factor)) for change in changes)
    return np.array([drift.mean(axis=0) for drift in shrunk])


def _fit(
    drifts: NDArray[np.float64], targets: NDArray[np.float64], near: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Cost and weights of a least-squares fit with rows for models, the pull, and the sum of 1."""
    rows = [drifts, PULL * np.eye(near.size), np.full((1, near.size), SUM_ROW)]
    weights, _ = nnls(np.concatenate(rows), np.concatenate([targets, PULL * near, [SUM_ROW]]))
    weights = weights / weights.sum()
    error = float(np.square(drifts @ weights - targets).sum())
    return error + PULL**2 * float(np.square(weights - near).sum()), weights


def _lowest(cost: Callable[[float], float]) -> float:
    """Log factor of lowest cost: the best of a grid over FACTORS, refined between neighbours."""
    low, high = (math.log(factor) for factor in FACTORS)
    grid: list[float] = np.linspace(low, high, GRID).tolist()
    best = min(range(GRID), key=lambda i: cost(grid[i]))
    between = grid[max(0, best - 1)], grid[min(GRID - 1, best + 1)]
    return float(minimize_scalar(cost, bounds=between, options={"xatol": TOLERANCE}).x)
