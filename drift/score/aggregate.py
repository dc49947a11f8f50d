"""From the scores of videos to the numbers of a run; one bootstrap gives every interval."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from drift.metrics.preset import Preset
from drift.metrics.registry import METRICS
from drift.score.score import MetricScore, VideoScore
from drift.stats import sensitivity
from drift.stats.bootstrap import bootstrap_ci
from drift.stats.correlation import pearson, spearman

WORST_SHARE = 10  # the worst videos are one in ten
Columns: TypeAlias = dict[tuple[str, ...], NDArray[np.float64]]
Intervals: TypeAlias = dict[tuple[str, ...], list[float]]


def mean(values: Iterable[float]) -> float:
    """Mean that does not depend on the order of the values, not even in its rounding."""
    items = list(values)
    return math.fsum(items) / len(items)


def aggregate(
    scores: Sequence[VideoScore], preset: Preset, metrics: tuple[str, ...]
) -> dict[str, Any]:
    """Statistics over videos.

    Args:
        scores: The scored videos, at least one.
        preset: Scales and weights.
        metrics: Names of the run's metrics.

    Returns:
        The fields `metrics`, `drift_score`, `leave_one_out`, `weight_sensitivity`, `correlation`
        and `worst` of `summary.json`.
    """
    weights = preset.weights(metrics)
    columns = _columns(scores, metrics, weights)
    table = np.column_stack(list(columns.values()))
    bounds = bootstrap_ci(table, [score.cluster for score in scores]).tolist()
    intervals = dict(zip(columns, bounds, strict=True))
    entries = {
        name: _metric_entry(name, weights[name], scores, preset, intervals) for name in metrics
    }
    counted = tuple(name for name in metrics if weights[name])
    value = mean(score.score for score in scores)
    for entry in entries.values():
        entry["share"] = entry["weight"] * entry["drift"] / value if value else None
    return {
        "metrics": entries,
        "drift_score": {
            "value": value,
            "ci95": intervals["score",],
            "noise_floor": mean(score.score_floor for score in scores),
            "excess": mean(score.score - score.score_floor for score in scores),
            "excess_ci95": intervals["excess",],
        },
        "leave_one_out": _leave_one_out(columns, intervals, value, counted),
        "weight_sensitivity": _weight_sensitivity([entries[name]["drift"] for name in counted]),
        "correlation": _correlation(scores, counted),
        "worst": _worst(scores),
    }


def _columns(
    scores: Sequence[VideoScore], metrics: tuple[str, ...], weights: dict[str, float]
) -> Columns:
    """All quantities that get an interval: name -> (videos,)."""
    total = np.array([score.score for score in scores])
    columns: Columns = {
        ("score",): total,
        ("excess",): total - [score.score_floor for score in scores],
    }
    for name in metrics:
        parts = [score.metrics[name] for score in scores]
        drift = np.array([part.drift for part in parts])
        columns["slope", name] = np.array([part.slope for part in parts])
        columns["drift", name] = drift
        for index, means in enumerate(zip(*(part.segment_means for part in parts), strict=True)):
            columns["segment", name, str(index)] = np.array(means)
        if parts[0].shape.curvature is not None:
            columns["curvature", name] = np.array([part.shape.curvature for part in parts])
        if 0 < weights[name] < 1:
            columns["without", name] = (total - weights[name] * drift) / (1 - weights[name])
        windows = [part.first_last_5s for part in parts if part.first_last_5s is not None]
        if len(windows) == len(parts):
            columns["first_last", name] = np.array([first - last for first, last in windows])
    return columns


def _metric_entry(
    name: str,
    weight: float,
    scores: Sequence[VideoScore],
    preset: Preset,
    intervals: Intervals,
) -> dict[str, Any]:
    spec, parts = METRICS[name], [score.metrics[name] for score in scores]
    signed = mean(part.slope for part in parts)
    errors = [part.vde for part in parts if part.vde is not None]
    means = list(zip(*(part.segment_means for part in parts), strict=True))
    return {
        "unit": spec.slope_unit,
        "better": spec.better,
        "family": preset.term(name).family,
        "segment_means": [mean(segment) for segment in means],
        "segment_ci95": [intervals["segment", name, str(i)] for i in range(len(means))],
        "mean_slope": signed,
        "mean_abs_slope": mean(abs(part.slope) for part in parts),
        "ci95": intervals["slope", name],
        **_slopes_per_second(name, scores),
        "noise_floor": mean(part.slope_floor for part in parts),
        "floor_corrected_slope": _floor_corrected(parts),
        "total_change": mean(part.total_change for part in parts),
        "label": spec.label(signed),
        "labels": dict(sorted(Counter(part.label for part in parts).items())),
        "scale": preset.term(name).scale,
        "weight": weight,
        "drift": mean(part.drift for part in parts),
        "drift_ci95": intervals["drift", name],
        "drift_noise_floor": mean(part.drift_floor for part in parts),
        "shape": _shape_entry(parts, intervals.get(("curvature", name))),
        "framepack_delta15": mean(part.framepack_delta15 for part in parts),
        "vde": mean(errors) if errors else None,
        "vde_videos": len(errors),
        "first_last_5s": _first_last_entry(parts, intervals.get(("first_last", name))),
    }


def _first_last_entry(
    parts: Sequence[MetricScore], ci95: list[float] | None
) -> dict[str, Any] | None:
    """The first five seconds against the last five; None unless every video tells both."""
    windows = [part.first_last_5s for part in parts if part.first_last_5s is not None]
    if ci95 is None:
        return None
    first, last = (mean(values) for values in zip(*windows, strict=True))
    return {
        "first": first,
        "last": last,
        "difference": first - last,
        "ci95": ci95,
        "abs_difference_of_means": abs(first - last),
        "mean_abs_difference": mean(abs(start - end) for start, end in windows),
    }


def _slopes_per_second(name: str, scores: Sequence[VideoScore]) -> dict[str, float | None]:
    """Mean slopes a second; None unless the frame rate of every video is known."""
    slopes = [s.metrics[name].slope / s.segment_s for s in scores if s.segment_s]
    known = len(slopes) == len(scores)
    return {
        "mean_slope_per_s": mean(slopes) if known else None,
        "mean_abs_slope_per_s": mean(map(abs, slopes)) if known else None,
    }


def _floor_corrected(parts: Sequence[MetricScore]) -> float:
    """Root mean square slope after subtracting the mean square of shuffled segments, >= 0."""
    excess = mean(part.slope**2 for part in parts) - mean(part.null_square for part in parts)
    return math.sqrt(max(0.0, excess))


def _shape_entry(
    parts: Sequence[MetricScore], curvature_ci95: list[float] | None
) -> dict[str, Any]:
    shapes = [part.shape for part in parts]
    lines = [shape.line_r2 for shape in shapes if shape.line_r2 is not None]
    steps = [shape.step_r2 for shape in shapes if shape.step_r2 is not None]
    bends = [shape.curvature for shape in shapes if shape.curvature is not None]
    return {
        "kinds": dict(sorted(Counter(shape.kind for shape in shapes).items())),
        "line_r2": mean(lines) if lines else None,
        "step_r2": mean(steps) if steps else None,
        "curvature": mean(bends) if bends else None,
        "curvature_ci95": curvature_ci95,
    }


def _leave_one_out(
    columns: Columns,
    intervals: Intervals,
    value: float,
    metrics: tuple[str, ...],
) -> dict[str, Any]:
    """Score without each metric, weights rescaled over the others; None for the only metric."""
    entries: dict[str, Any] = {}
    for name in metrics:
        without = columns.get(("without", name))
        if without is None:
            entries[name] = None
            continue
        rest = mean(without.tolist())
        entries[name] = {
            "value": rest,
            "ci95": intervals["without", name],
            "change": rest - value,
        }
    return entries


def _weight_sensitivity(drifts: list[float]) -> dict[str, Any] | None:
    """Spread of the model score under random weights; None for a single metric."""
    if len(drifts) < 2:
        return None
    draws = sensitivity.random_weight_scores(drifts)
    low, high = np.percentile(draws, [2.5, 97.5]).tolist()
    return {
        "weights": "Dirichlet(1, ..., 1)",
        "draws": sensitivity.DRAWS,
        "seed": sensitivity.SEED,
        "interval95": [low, high],
        "standard_deviation": float(draws.std()),
    }


def _correlation(scores: Sequence[VideoScore], metrics: tuple[str, ...]) -> dict[str, Any]:
    """Correlations between the metrics' signed slopes over videos."""
    slopes = [[score.metrics[name].slope for name in metrics] for score in scores]
    return {
        "of": "signed slopes over videos",
        "metrics": list(metrics),
        "videos": len(scores),
        "pearson": pearson(slopes),
        "spearman": spearman(slopes),
    }


def _worst(scores: Sequence[VideoScore]) -> dict[str, Any]:
    """The tenth of the videos that drifts most."""
    count = math.ceil(len(scores) / WORST_SHARE)
    worst = sorted(scores, key=lambda score: (-score.score, score.path))[:count]
    return {
        "share": 1 / WORST_SHARE,
        "mean_score": mean(score.score for score in worst),
        "videos": [{"path": score.path, "score": score.score} for score in worst],
    }
