"""The drift of one video: per-frame values -> segments -> slope -> drift -> weighted score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drift.preset import Preset, PresetTerm
from drift.registry import METRICS, MetricSpec
from drift.segments import segment_means
from drift.slopes import framepack_delta15, noise_floor, permuted_slopes, slope, vde

MIN_FRAMES_PER_SEGMENT = 2


@dataclass(frozen=True, kw_only=True)
class MetricScore:
    """Drift of one metric over one video.

    Args:
        segment_means: Value of each segment, in the slope unit.
        slope: Least-squares slope per segment, signed.
        total_change: (segments - 1) * slope, signed.
        drift: min(1, |total_change| / scale), in [0, 1].
        label: Direction in words.
        noise_floor: Mean |slope| over all orders of the segments.
        null_square: Mean squared slope over all orders of the segments.
        framepack_delta15: Start-end contrast of the raw values.
        vde: Video drift error of the raw values, None where undefined.
    """

    segment_means: tuple[float, ...]
    slope: float
    total_change: float
    drift: float
    label: str
    noise_floor: float
    null_square: float
    framepack_delta15: float
    vde: float | None


@dataclass(frozen=True, kw_only=True)
class VideoScore:
    """Drift of one video: a score in [0, 1] (0 is none) and its parts."""

    path: str
    cluster: str
    metrics: Mapping[str, MetricScore]
    score: float


def is_too_short(num_frames: int, num_segments: int) -> bool:
    """Whether a segment would have fewer than two frames."""
    return num_frames < MIN_FRAMES_PER_SEGMENT * num_segments


def slope_values(values: Sequence[float], spec: MetricSpec) -> NDArray[np.float64]:
    """Values on the scale on which slopes are taken: as they are, or their natural log.

    A log is taken frame by frame, before segments are averaged, with the metric's floor.

    Args:
        values: (n,) raw values.
        spec: The metric.

    Returns:
        float64 (n,).
    """
    array = np.asarray(values, dtype=np.float64)
    return array if spec.log_floor is None else np.log(np.maximum(array, spec.log_floor))


def score_metric(
    values: Sequence[float], spec: MetricSpec, term: PresetTerm, num_frames: int, num_segments: int
) -> MetricScore:
    """Scores one metric of one video.

    Args:
        values: (num_frames,) raw values, or one fewer for a pair metric.
        spec: The metric.
        term: Its scale.
        num_frames: Frames of the video.
        num_segments: Segments.

    Returns:
        The metric's drift and what it is made of.

    Raises:
        ValueError: a value that is not finite, or a wrong number of values.
    """
    means = segment_means(slope_values(values, spec), num_frames, num_segments)
    signed = float(slope(means))
    change = (num_segments - 1) * signed
    return MetricScore(
        segment_means=tuple(means.tolist()),
        slope=signed,
        total_change=change,
        drift=min(1.0, abs(change) / term.scale),
        label=spec.label(signed),
        noise_floor=noise_floor(means),
        null_square=float(np.square(permuted_slopes(means)).mean()),
        framepack_delta15=framepack_delta15(values),
        vde=vde(values),
    )


def score_video(
    path: str,
    cluster: str,
    values: Mapping[str, Sequence[float]],
    *,
    preset: Preset,
    num_frames: int,
    num_segments: int,
) -> VideoScore:
    """Scores one video: the weighted sum of its metrics' drifts.

    Args:
        path: Name in results.
        cluster: Its prompt, or what stands for it.
        values: Metric -> raw values.
        preset: Scales and weights; weights are rescaled over the metrics present.
        num_frames: Frames of the video.
        num_segments: Segments.

    Returns:
        The score and its parts.
    """
    metrics = {
        name: score_metric(series, METRICS[name], preset.term(name), num_frames, num_segments)
        for name, series in values.items()
    }
    weights = preset.weights(tuple(metrics))
    total = math.fsum(weights[name] * metrics[name].drift for name in metrics)
    return VideoScore(path=path, cluster=cluster, metrics=metrics, score=total)
