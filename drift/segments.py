"""Time segments of a video: segment i of N frames is [floor(i N / S), floor((i + 1) N / S))."""

import itertools
import math

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


def segment_means(values: ArrayLike, num_frames: int, num_segments: int) -> NDArray[np.float64]:
    """Mean of the values of each segment.

    Value i belongs to frame i. A pair metric has one value fewer than frames: the value of the
    pair (i, i + 1) belongs to its left frame i, so the last segment has one value fewer.

    Args:
        values: (num_frames,) or (num_frames - 1,), finite.
        num_frames: Frames of the video.
        num_segments: Segments.

    Returns:
        float64 (num_segments,). A segment of equal values gives that value exactly.

    Raises:
        ValueError: a wrong length, a value that is not finite, or a segment without a value.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or num_frames - array.size not in (0, 1):
        raise ValueError(f"{array.shape} values do not fit {num_frames} frames")
    if not np.isfinite(array).all():
        index = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"the value of frame {index} is {array[index]}; it must be finite")
    slices = [array[start:stop] for start, stop in segment_bounds(num_frames, num_segments)]
    if any(part.size == 0 for part in slices):
        raise ValueError(f"{array.size} values leave one of {num_segments} segments empty")
    return np.array([_shifted_mean(part) for part in slices])


def _shifted_mean(values: NDArray[np.float64]) -> float:
    """Mean around the first value, so that equal values give exactly that value."""
    first = float(values[0])
    return first + math.fsum(values - first) / values.size
