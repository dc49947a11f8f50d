"""Frozen videos: nothing changes in them, so no metric drifts, and they must not pass for perfect.

`difference` is measured on every video, so whether it froze is known without decoding again.
"""

from collections.abc import Sequence

import numpy as np

from drift.metrics.registry import STILL_LEVELS
from drift.stats.segments import segment_bounds

STILL_SHARE = 0.85
"""Share of the pairs of a segment that must be still. It leaves room for what key frames and fast
encoders change in a still picture; a video that shows each frame five times stays below it."""


def is_frozen(differences: Sequence[float], num_frames: int, num_segments: int) -> bool:
    """Whether the picture stands still in at least one of a video's segments.

    Args:
        differences: (num_frames - 1,) values of the metric `difference`.
        num_frames: Number of frames of the video, at least two a segment.
        num_segments: Number of segments.
    """
    still = np.asarray(differences, dtype=np.float64) < STILL_LEVELS
    shares = (still[start:stop].mean() for start, stop in segment_bounds(num_frames, num_segments))
    return any(share >= STILL_SHARE for share in shares)
