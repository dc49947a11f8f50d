"""How alike frames are that lie far apart: a metric against distance in time, over videos.

Neighbouring frames of a video that drifts slowly are as alike as those of one that stays; frames
that lie ten seconds apart are not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from drift.stats.bootstrap import bootstrap_ci

SHORTEST_S = 0.125
"""Smallest distance: two frames at the 16 frames a second of Wan 2.1 and the models made of it."""
NUM_DISTANCES = 24


def by_distance(
    videos: Sequence[tuple[Sequence[float], float]], clusters: Sequence[str]
) -> dict[str, Any]:
    """Means over videos at distances that grow by a constant factor.

    Args:
        videos: Values of each video at distances of 1, 2, ... frames, and its frames a second.
        clusters: Prompt of each video; videos of one prompt are resampled together.

    Returns:
        `seconds`, `mean` and `ci95`, from an eighth of a second to the length of the shortest
        video. Each video's value is that of the distance in whole frames that lies nearest.
    """
    longest_s = min(len(curve) / fps for curve, fps in videos)
    shortest_s = min(SHORTEST_S, longest_s)
    seconds = np.geomspace(shortest_s, longest_s, NUM_DISTANCES)
    table = np.array(
        [
            np.asarray(curve)[np.clip(np.rint(seconds * fps).astype(int), 1, len(curve)) - 1]
            for curve, fps in videos
        ]
    )
    return {
        "seconds": seconds.tolist(),
        "mean": table.mean(axis=0).tolist(),
        "ci95": bootstrap_ci(table, clusters).tolist(),
    }
