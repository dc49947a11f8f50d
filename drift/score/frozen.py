"""Frozen videos: nothing changes in them, so no metric drifts, and they must not pass for perfect.

`difference` is measured on every video, so whether it froze is known without decoding again.
"""

from collections.abc import Sequence

import numpy as np

from drift.stats.segments import segment_bounds

STILL_LEVELS = 0.1
"""Mean absolute difference, in levels 0..255, below which two consecutive frames are one picture.

Ours: re-encoding a frozen frame of 832 x 480 with H.264 at quality 12 to 30 leaves less, apart from
the pairs at key frames; the calmest pair of our real videos has ten times as much."""
STILL_SHARE = 0.95
"""Share of the pairs of a segment that must be still. It leaves room for key frames, and a video
whose frames are repeated to reach a higher frame rate stays below it up to twenty repeats."""


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
