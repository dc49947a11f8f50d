"""The drift of one video: per-frame values -> segments -> slope -> drift -> weighted score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from drift.metrics.preset import Preset, PresetTerm
from drift.metrics.registry import METRICS, MetricSpec
from drift.score.config import CutPolicy
from drift.score.cuts import CUT_JUMPS, droppable, find_cuts
from drift.stats.segments import segment_means
from drift.stats.shape import Shape, describe_shape
from drift.stats.slopes import framepack_delta15, permuted_slopes, slope, vde
from drift.stats.start_end import first_and_last

MIN_FRAMES_PER_SEGMENT = 2


@dataclass(frozen=True, kw_only=True)
class MetricScore:
    """Drift of one metric over one video.

    Args:
        segment_means: Mean of each segment, in the slope unit.
        slope: Least-squares slope per segment, signed.
        total_change: (segments - 1) * slope, signed.
        drift: min(1, |total_change| / scale), in [0, 1].
        drift_floor: Mean drift over all orders of the segments: the drift of noise alone.
        label: Direction of the slope in words.
        slope_floor: Mean |slope| over all orders of the segments: the slope of noise alone.
        null_square: Mean squared slope over all orders of the segments.
        shape: How well a line and a step describe the segments.
        framepack_delta15: Start-end contrast of the raw values.
        vde: Video drift error of the raw values, None where undefined.
        first_last_5s: Means of the raw values over the first and the last five seconds, None where
            these overlap or the frame rate is not known.
    """

    segment_means: tuple[float, ...]
    slope: float
    total_change: float
    drift: float
    drift_floor: float
    label: str
    slope_floor: float
    null_square: float
    shape: Shape
    framepack_delta15: float
    vde: float | None
    first_last_5s: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class VideoScore:
    """Drift of one video.

    Args:
        path: Name in results.
        cluster: Prompt of the video, or its file name without one.
        metrics: Metric -> drift of that metric.
        score: Weighted sum of the metrics' drifts, in [0, 1]; 0 is none.
        score_floor: Weighted sum of the metrics' `drift_floor`: the score of noise alone.
        segment_s: Length of a segment in seconds; None if the file gives no frame rate.
        cuts: Index of the left frame of each pair that looks like a scene cut.
    """

    path: str
    cluster: str
    metrics: Mapping[str, MetricScore]
    score: float
    score_floor: float
    segment_s: float | None
    cuts: tuple[int, ...]


def is_too_short(num_frames: int, num_segments: int) -> bool:
    """Whether some segment could have fewer than two frames."""
    return num_frames < MIN_FRAMES_PER_SEGMENT * num_segments


def slope_values(values: Sequence[float], spec: MetricSpec) -> NDArray[np.float64]:
    """Values on the scale on which slopes are taken: unchanged, or their natural logarithm.

    The logarithm is taken frame by frame, before segments are averaged, with the metric's floor.

    Args:
        values: (n,) raw values.
        spec: Description of the metric.

    Returns:
        float64 (n,).
    """
    array = np.asarray(values, dtype=np.float64)
    return array if spec.log_floor is None else np.log(np.maximum(array, spec.log_floor))


def score_metric(
    values: Sequence[float],
    spec: MetricSpec,
    term: PresetTerm,
    num_frames: int,
    num_segments: int,
    *,
    frames: Sequence[int] | None = None,
    fps: float | None = None,
) -> MetricScore:
    """Scores one metric of one video.

    Args:
        values: (num_frames,) raw values, one fewer for a pair metric, or one for each of `frames`.
        spec: Description of the metric.
        term: Scale of the metric in the preset.
        num_frames: Number of frames of the video.
        num_segments: Number of segments.
        frames: Frame index of each value, if some frames have no value.
        fps: Frame rate; None if it is not known.

    Returns:
        Drift of the metric, with the numbers behind it.

    Raises:
        ValueError: a value that is not finite, or a wrong number of values.
    """
    means = segment_means(slope_values(values, spec), num_frames, num_segments, frames=frames)
    signed = float(slope(means))
    change = (num_segments - 1) * signed
    shuffled = np.abs(permuted_slopes(means))
    return MetricScore(
        segment_means=tuple(means.tolist()),
        slope=signed,
        total_change=change,
        drift=min(1.0, abs(change) / term.scale),
        drift_floor=float(np.minimum(1.0, (num_segments - 1) * shuffled / term.scale).mean()),
        label=spec.label(signed),
        slope_floor=float(shuffled.mean()),
        null_square=float(np.square(shuffled).mean()),
        shape=describe_shape(means),
        framepack_delta15=framepack_delta15(values),
        vde=vde(values),
        first_last_5s=first_and_last(values, num_frames, fps, frames=frames),
    )


def score_video(
    path: str,
    cluster: str,
    values: Mapping[str, Sequence[float]],
    *,
    preset: Preset,
    num_frames: int,
    num_segments: int,
    frames: Mapping[str, Sequence[int]] = MappingProxyType({}),
    fps: float | None = None,
    cut_policy: CutPolicy = "keep",
) -> VideoScore:
    """Scores one video: the weighted sum of its metrics' drifts.

    Args:
        path: Name in results.
        cluster: Prompt of the video, or its file name without one.
        values: Metric -> raw values.
        preset: Scales and weights; weights are rescaled over the metrics present.
        num_frames: Number of frames of the video.
        num_segments: Number of segments.
        frames: Metric -> frame index of each value, for metrics that skip frames.
        fps: Frame rate; None if it is not known.
        cut_policy: `drop-pair` leaves the pairs of scene cuts out of the pair metrics.

    Returns:
        Score of the video and of each metric.
    """
    cuts = find_cuts(values)
    metrics = {}
    for name, every in values.items():
        series, index = every, frames.get(name)
        if cut_policy == "drop-pair" and cuts and name in CUT_JUMPS:
            dropped = set(droppable(cuts, len(every), num_frames, num_segments))
            index = [pair for pair in range(len(every)) if pair not in dropped]
            series = [every[pair] for pair in index]
        metrics[name] = score_metric(
            series,
            METRICS[name],
            preset.term(name),
            num_frames,
            num_segments,
            frames=index,
            fps=fps,
        )
    weights = preset.weights(tuple(metrics))
    return VideoScore(
        path=path,
        cluster=cluster,
        metrics=metrics,
        score=math.fsum(weights[name] * metrics[name].drift for name in metrics),
        score_floor=math.fsum(weights[name] * metrics[name].drift_floor for name in metrics),
        segment_s=num_frames / num_segments / fps if fps else None,
        cuts=cuts,
    )
