"""Scene cuts: found in the values of the pair metrics, and left out of them on request.

A cut is a pair of frames that have nothing in common. Among the 64 pairs of a segment a single
LPIPS of 0.6 moves the mean by 0.009, which can pass for drift. The measured values are enough to
find cuts, so the policy of a run can be changed without decoding.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from drift.stats.segments import segment_bounds

CUT_JUMPS: dict[str, float] = {"dino_coherence": -0.15, "lpips": 0.3}
"""Smallest difference between a cut and the video's median pair, for each pair metric.

Two views of one scene seldom differ by that much, and two scenes differ by at least twice as much
(LPIPS about 0.6). Our choice: no published data set of cuts was used.
"""
OUTLIER_DEVIATIONS = 6.0
"""Robust standard deviations (1.4826 x median absolute deviation) that a cut must stand out by.

Iglewicz and Hoaglin (1993) flag outliers at 3.5; a video has hundreds of pairs and steady motion
has tails, so a cut needs more.
"""
MAD_TO_DEVIATION = 1.4826  # for a normal distribution


def find_cuts(series: Mapping[str, Sequence[float]]) -> tuple[int, ...]:
    """Finds pairs of frames that look like a scene cut in every pair metric that was measured.

    A single odd frame (a flash, a glitch) makes two such pairs.

    Args:
        series: Metric -> values. The metrics of `CUT_JUMPS` are used; their lengths must be equal.

    Returns:
        Index of the left frame of each such pair, rising; empty without a pair metric.
    """
    votes = []
    for name, jump in CUT_JUMPS.items():
        if name in series:
            values = np.asarray(series[name], dtype=np.float64)
            change = (values - np.median(values)) * np.sign(jump)
            spread = MAD_TO_DEVIATION * float(np.median(np.abs(change)))
            votes.append(change >= max(abs(jump), OUTLIER_DEVIATIONS * spread))
    if not votes:
        return ()
    return tuple(np.flatnonzero(np.logical_and.reduce(votes)).tolist())


def droppable(
    cuts: Iterable[int], num_pairs: int, num_frames: int, num_segments: int
) -> tuple[int, ...]:
    """Selects the cuts that can be left out so that every segment still has a pair.

    Args:
        cuts: Index of the left frame of each cut.
        num_pairs: Number of pairs of the video.
        num_frames: Number of frames of the video.
        num_segments: Number of segments.

    Returns:
        Indices of left frames; none from a segment all of whose pairs are cuts.
    """
    found = set(cuts)
    return tuple(
        pair
        for start, stop in segment_bounds(num_frames, num_segments)
        if not found.issuperset(range(start, min(stop, num_pairs)))
        for pair in range(start, stop)
        if pair in found
    )
