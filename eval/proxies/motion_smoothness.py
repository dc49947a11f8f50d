"""How well a frame fits between its neighbours: a stand-in for VBench's motion smoothness.

VBench drops every second frame, has AMT interpolate it from its neighbours and takes the mean
absolute difference (VBench, motion_smoothness.py). Here the neighbours are warped half way along
OpenCV's Farneback flow between them, which needs no weights. A *tiny proxy*: not VBench's number.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from drift.errors import UsageError
from hiar.tiny.dynamics import optical_flow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Frames = NDArray[np.uint8]


def motion_smoothness(frames: Frames) -> float:
    """Mean over every second frame of 1 - mean |frame - interpolated| / 255.

    Args:
        frames: uint8 RGB (T, H, W, 3), T >= 3.

    Returns:
        1 if every second frame can be interpolated from its neighbours, as in a still video.

    Raises:
        UsageError: There are fewer than three frames.
    """
    if len(frames) < 3:
        raise UsageError(f"{len(frames)} frames: smoothness needs at least 3")
    errors = [
        np.abs(frames[i].astype(np.float32) - _between(frames[i - 1], frames[i + 1])).mean()
        for i in range(1, len(frames) - 1, 2)
    ]
    return float(1 - np.mean(errors) / 255)


def _between(before: Frames, after: Frames) -> NDArray[np.float32]:
    """The picture half way between two pictures, (H, W, 3) float32 in [0, 255].

    Each pixel of the middle uses the flow at the same pixel of the first picture.
    """
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (before, after)]
    half = optical_flow(grey[0], grey[1]) / 2
    x, y = _positions(*grey[0].shape)
    warped = [
        cv2.remap(
            picture.astype(np.float32), x + sign * half[..., 0], y + sign * half[..., 1],
            cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
        )
        for picture, sign in ((before, -1), (after, 1))
    ]  # fmt: skip
    middle: NDArray[np.float32] = (warped[0] + warped[1]) / 2
    return middle


@lru_cache(maxsize=1)
def _positions(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Column and row of each pixel of a picture, both (H, W)."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x, y
