"""The first and the last seconds of a video, which several papers compare."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

WINDOW_S = 5.0
"""Length of both windows. Source: Rolling Forcing (arXiv 2509.25161), whose quality drift is the
imaging quality of the first 5 s against that of the last 5 s; Forcing-KV (arXiv 2605.09681,
evaluation/VBench/drift) takes the same windows."""


def first_and_last(
    values: ArrayLike,
    num_frames: int,
    fps: float | None,
    *,
    frames: Sequence[int] | None = None,
) -> tuple[float, float] | None:
    """Means of the values over the first and over the last five seconds.

    Args:
        values: (n,) raw values.
        num_frames: Number of frames of the video.
        fps: Frames a second; None if the file does not tell.
        frames: (n,) frame index of each value, where some frames have none. A pair of frames
            belongs to its left one.

    Returns:
        Both means; None if the windows would overlap, or the frame rate is not known.
    """
    count = round(WINDOW_S * fps) if fps else 0
    if count < 1 or num_frames < 2 * count:
        return None
    array = np.asarray(values, dtype=np.float64)
    index = np.arange(array.size) if frames is None else np.asarray(frames)
    first, last = array[index < count], array[index >= num_frames - count]
    if not (first.size and last.size):
        return None
    return float(first.mean()), float(last.mean())
