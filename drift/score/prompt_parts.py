"""Metrics of the parts of a video whose prompt changes, each part under one prompt."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.metrics.registry import METRICS
from drift.score.score import slope_values
from drift.stats.segments import segment_means
from drift.stats.slopes import slope


def prompt_parts(
    values: Mapping[str, Sequence[float]],
    schedule: Sequence[tuple[float, str]],
    *,
    num_frames: int,
    num_segments: int,
    fps: float,
    frames: Mapping[str, Sequence[int]],
) -> list[dict[str, Any]]:
    """Level and drift of each metric while one prompt holds.

    The pair of frames between which the prompt changes belongs to neither part: its jump is the
    change itself.

    Args:
        values: Metric -> raw values of the video.
        schedule: Second from which each prompt holds, and its text.
        num_frames: Number of frames of the video.
        num_segments: Number of time slices of a part, as of a whole video.
        fps: Frames a second.
        frames: Metric -> frame index of each value, for metrics that skip frames.

    Returns:
        A part a prompt, with `mean` and `total_change` of each metric in its slope's unit. Both are
        None for a part without values, the latter also for one too short for the segments.
    """
    return [
        {
            "start_s": first / fps,
            "end_s": last / fps,
            "prompt": prompt,
            "frames": last - first,
            "metrics": {
                name: _part(name, series, first, last, num_frames, num_segments, frames.get(name))
                for name, series in values.items()
            },
        }
        for (first, last), (_, prompt) in zip(
            _spans(schedule, num_frames, fps), schedule, strict=True
        )
    ]


def seconds_until_followed(
    leads: Sequence[float],
    schedule: Sequence[tuple[float, str]],
    *,
    num_frames: int,
    fps: float,
    frames: Sequence[int] | None,
) -> list[tuple[float | None, float]]:
    """How long after each change the new prompt is followed.

    That is the time from the change to the first measured frame from which every frame, to the end
    of the prompt, is nearer to the new prompt than to the old one.

    Args:
        leads: How far each measured frame is nearer to its prompt than to the one before that.
        schedule: Second from which each prompt holds, and its text.
        num_frames: Number of frames of the video.
        fps: Frames a second.
        frames: Frame index of each value, if some frames are skipped.

    Returns:
        For each change, the seconds and the length of the prompt's part in seconds. The former is
        None if the prompt is not followed within its part; a part without a measured frame is left
        out.
    """
    where = np.arange(len(leads)) if frames is None else np.asarray(frames)
    found: list[tuple[float | None, float]] = []
    for first, last in _spans(schedule, num_frames, fps)[1:]:
        inside = (where >= first) & (where < last)
        own, lead = where[inside], np.asarray(leads)[inside]
        if not own.size:
            continue
        behind = np.flatnonzero(lead <= 0)
        start = behind[-1] + 1 if behind.size else 0
        seconds = float(own[start] - first) / fps if start < len(own) else None
        found.append((seconds, (last - first) / fps))
    return found


def _spans(
    schedule: Sequence[tuple[float, str]], num_frames: int, fps: float
) -> list[tuple[int, int]]:
    """First frame of each prompt, and the frame after its last."""
    edges = [min(num_frames, round(start * fps)) for start, _ in schedule]
    return list(pairwise([*edges, num_frames]))


def _part(
    name: str,
    series: Sequence[float],
    first: int,
    last: int,
    num_frames: int,
    num_segments: int,
    index: Sequence[int] | None,
) -> dict[str, float | None]:
    """Mean and total change of one metric over the frames from `first` to before `last`."""
    lag = num_frames - len(series) if index is None else 0  # a pair metric has a value fewer
    where = np.arange(len(series)) if index is None else np.asarray(index)
    inside = (where >= first) & (where < last - lag)
    kept: NDArray[np.float64] = slope_values(series, METRICS[name])[inside]
    if not kept.size:
        return {"mean": None, "total_change": None}
    own = (where[inside] - first).tolist()
    level = float(segment_means(kept, last - first, 1, frames=own)[0])
    try:
        means = segment_means(kept, last - first, num_segments, frames=own)
    except ValueError:  # a segment without a value: the part is too short to drift
        return {"mean": level, "total_change": None}
    return {"mean": level, "total_change": (num_segments - 1) * float(slope(means))}
