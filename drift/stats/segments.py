"""Time segments of a video: segment i of N frames is [floor(i N / S), floor((i + 1) N / S))."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def segment_bounds(num_frames: int, num_segments: int) -> list[tuple[int, int]]:
    """First and one-past-last frame of each segment; together they cover every frame once.

    Args:
        num_frames: Frames of the video, >= num_segments.
        num_segments: Segments, >= 1.

    Returns:
        `num_segments` pairs in time order.

    Raises:
        ValueError: fewer frames than segments, so that one would be empty.
    """
    if num_segments < 1 or num_frames < num_segments:
        raise ValueError(f"{num_frames} frames cannot fill {num_segments} segments")
    edges = [i * num_frames // num_segments for i in range(num_segments + 1)]
    return list(itertools.pairwise(edges))


def segment_means(
    values: ArrayLike, num_frames: int, num_segments: int, *, frames: Sequence[int] | None = None
) -> NDArray[np.float64]:
    """Mean of the values of each segment.

    A value belongs to the segment of its frame. A pair metric has one value fewer than frames: the
    value of the pair (i, i + 1) belongs to its left frame i, so the last segment has one fewer.

    Args:
        values: (n,), finite.
        num_frames: Frames of the video.
        num_segments: Segments.
        frames: (n,) rising frame index of each value, for a metric that skips frames; None where
            value i belongs to frame i, with n equal to `num_frames` or one fewer.

    Returns:
        float64 (num_segments,). A segment of equal values gives that value exactly.

    Raises:
        ValueError: a wrong length, a value that is not finite, or a segment without a value.
    """
    array = np.asarray(values, dtype=np.float64)
    index = _frame_index(array, num_frames, frames)
    if not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"the value of frame {index[bad]} is {array[bad]}; it must be finite")
    bounds = segment_bounds(num_frames, num_segments)
    edges = np.searchsorted(index, [0, *(stop for _, stop in bounds)]).tolist()
    slices = [array[start:stop] for start, stop in itertools.pairwise(edges)]
    if any(part.size == 0 for part in slices):
        raise ValueError(f"{array.size} values leave one of {num_segments} segments empty")
    return np.array([_shifted_mean(part) for part in slices])


def _frame_index(
    values: NDArray[np.float64], num_frames: int, frames: Sequence[int] | None
) -> NDArray[np.int64]:
    """Frame index of each value; raises ValueError unless there is one for each value."""
    if frames is None:
        if values.ndim != 1 or num_frames - values.size not in (0, 1):
            raise ValueError(f"{values.shape} values do not fit {num_frames} frames")
        return np.arange(values.size)
    index = np.asarray(frames, dtype=np.int64)
    if values.ndim != 1 or index.shape != values.shape:
        raise ValueError(f"{values.shape} values do not fit {index.shape} frame indices")
    if index.size and (index[0] < 0 or index[-1] >= num_frames or (np.diff(index) <= 0).any()):
        raise ValueError(f"frame indices must rise from 0 to at most {num_frames - 1}")
    return index


def _shifted_mean(values: NDArray[np.float64]) -> float:
    """Mean, computed around the first value so that equal values give exactly that value."""
    first = float(values[0])
    return first + math.fsum((values - first).tolist()) / values.size
