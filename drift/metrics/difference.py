"""Difference: how much a frame changes to the next one. It falls to 0 when a video freezes."""

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from drift.metrics.registry import Metric

Frame = NDArray[np.uint8]


def difference(before: Frame, after: Frame) -> float:
    """Mean absolute difference of two frames over pixels and channels.

    Args:
        before, after: uint8 (H, W, 3) of one size.

    Returns:
        A value in levels, 0..255.
    """
    return float(cv2.norm(before, after, cv2.NORM_L1)) / before.size


def new_metric() -> Metric:
    """Returns a metric for one video that gives a value a pair of frames i and i + 1."""
    last: list[Frame] = []

    def update(frames: Sequence[Frame]) -> list[float]:
        chain = [*last, *frames]
        last[:] = chain[-1:]
        return [difference(before, after) for before, after in itertools.pairwise(chain)]

    return update
