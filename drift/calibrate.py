"""Fits the scales and weights of a preset, which the paper does not publish. No I/O."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.aggregate import mean
from drift.errors import UsageError
from drift.nnls import nnls
from drift.preset import Preset
from drift.score import VideoScore

REFERENCE_MULTIPLE = 5.0
"""A change that counts as drift 1, in root mean square changes of a stable reference.

Ours: the reference itself then scores about 0.16 (E|z| / 5 of a normal z), and there is room up to
five times its change before a metric saturates.
"""
PULL = 1e-3  # of each metric's weight to its base weight, where published scores do not decide
MAX_ROUNDS = 200
SETTLED = 1e-9


@dataclass(frozen=True, kw_only=True)
class Published:
    """A model whose score is known.

    Args:
        name: Its name.
        scores: Its scored videos.
        target: The published score, in (0, 1].
    """

    name: str
    scores: Sequence[VideoScore]
    target: float


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
        scores: The reference's videos, at least one.
        base: Families and weights.
        multiple: RMS changes of the reference that count as drift 1.

    Returns:
        The preset.

    Raises:
        UsageError: a metric that does not change in the reference, so that it gives no scale.
    """
    if not (math.isfinite(multiple) and multiple > 0):
        raise UsageError(f"multiple is {multiple}; it must be positive")
    metrics = tuple(scores[0].metrics)
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

    Minimises sum_i (sum_m w_m d_im - y_i)^2 over w >= 0, where d_im is the mean drift of metric m
    over the videos of model i. Weights must sum to 1, so what they sum to is moved into a common
    factor of all scales, and d is computed again until nothing changes. Where the scores leave the
    weights open, a weak pull takes those nearest to the base preset's.

    Args:
        name: Name of the new preset.
        models: Models with published scores, at least one.
        base: Families, relative scales, and weights to stay near to.

    Returns:
        The preset, and facts about the fit: `models` (published and reproduced scores), `rank`,
        `unknowns`, `underdetermined`, `scale_factor`.

    Raises:
        UsageError: scores that no weights can give.
    """
    metrics = tuple(models[0].scores[0].metrics)
    targets = np.array([model.target for model in models])
    factor = 1.0
    for _ in range(MAX_ROUNDS):
        drifts = _mean_drifts(models, metrics, base, factor)
        weights = _fit(drifts, targets, base.weights(metrics))
        total = float(weights.sum())
        if total <= 0:
            raise UsageError(
                "no weights give the published scores: every metric of these runs drifts too "
                "little or in the wrong order; check that each run is the model it is named after"
            )
        factor /= total
        if abs(total - 1) < SETTLED:
            break
    else:
        raise UsageError(
            f"the published scores ({', '.join(f'{m.name} {m.target:g}' for m in models)}) cannot "
            "be reached with any scales; check that each run is the model it is named after"
        )
    preset = Preset(
        name=name,
        terms=tuple(
            replace(base.term(m), scale=base.term(m).scale * factor, weight=float(weight / total))
            for m, weight in zip(metrics, weights, strict=True)
        ),
    )
    rank = int(np.linalg.matrix_rank(drifts))
    reproduced = _mean_drifts(models, metrics, base, factor) @ (weights / total)
    return preset, {
        "models": [
            {"name": m.name, "published": m.target, "reproduced": float(r), "videos": len(m.scores)}
            for m, r in zip(models, reproduced, strict=True)
        ],
        "rank": rank,
        "unknowns": len(metrics),
        "underdetermined": rank < len(metrics),
        "scale_factor": factor,
    }


def _mean_drifts(
    models: Sequence[Published], metrics: Sequence[str], base: Preset, factor: float
) -> NDArray[np.float64]:
    """(models, metrics): mean drift with the base preset's scales times `factor`."""
    scales = {metric: base.term(metric).scale * factor for metric in metrics}

    def drift(score: VideoScore, metric: str) -> float:
        return min(1.0, abs(score.metrics[metric].total_change) / scales[metric])

    return np.array(
        [[mean(drift(score, m) for score in model.scores) for m in metrics] for model in models]
    )


def _fit(
    drifts: NDArray[np.float64], targets: NDArray[np.float64], base: Mapping[str, float]
) -> NDArray[np.float64]:
    """Non-negative weights; the pull is a row a metric beside the rows of the models."""
    pull = PULL * np.eye(drifts.shape[1])
    near = PULL * np.array(list(base.values()))
    return nnls(np.concatenate([drifts, pull]), np.concatenate([targets, near]))
