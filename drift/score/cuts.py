"""Scene cuts, found in the values of the pair metrics themselves, and what is done about them.

One cut is one pair of frames that have nothing in common. Among the 64 pairs of a segment an LPIPS
of 0.6 moves the mean by 0.009, which can pass for drift. No frame is looked at again: what was
measured is enough, so the policy of a run can be changed without decoding.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from drift.stats.segments import segment_bounds

CUT_JUMPS: dict[str, float] = {"dino_coherence": -0.15, "lpips": 0.3}
"""Smallest change of a cut from the video's median pair, per pair metric.

Two views of one scene seldom differ by that much, and it is half or less of what two scenes differ
by (LPIPS about 0.6). Ours: no published data set of cuts was used.
"""
OUTLIER_DEVIATIONS = 6.0
"""Robust standard deviations (1.4826 x median absolute deviation) that a cut must stand out by.

Iglewicz and Hoaglin (1993) flag outliers at 3.5; a video has hundreds of pairs and steady motion
has tails, so a cut needs more.
"""
MAD_TO_DEVIATION = 1.4826  # of a normal distribution


def find_cuts(series: Mapping[str, Sequence[float]]) -> tuple[int, ...]:
    """Finds pairs of frames that look like a scene cut in every pair metric that was measured.

    A single odd frame (a flash, a glitch) is two pairs.

    Args:
        series: Metric -> values; those of `CUT_JUMPS` are used, of equal length.

    Returns:
        Left frame of each such pair, rising; empty without a pair metric.
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
    """Of the pairs of cuts, those without which each segment still has a pair.

    Args:
        cuts: Left frames of the pairs.
        num_pairs: Pairs of the video.
        num_frames: Frames of the video.
        num_segments: Segments.

    Returns:
        Left frames; in a segment of cuts only, none.
    """
    found = set(cuts)
    return tuple(
        pair
        for start, stop in segment_bounds(num_frames, num_segments)
        if not found.issuperset(range(start, min(stop, num_pairs)))
        for pair in range(start, stop)
        if pair in found
    )
