"""Clipped: the share of pixels that have lost colour or detail at an end of the range."""

import cv2
import numpy as np
from numpy.typing import NDArray

INNER = ((1, 1, 1), (254, 254, 254))
"""Smallest and largest levels of a pixel none of whose channels is at 0 or 255."""


def clipped(frame: NDArray[np.uint8]) -> float:
    """Share of the pixels of a frame that have a channel at 0 or at 255.

    Args:
        frame: uint8 (H, W, 3) RGB.

    Returns:
        A value in [0, 1].
    """
    height, width = frame.shape[:2]
    inside = cv2.countNonZero(cv2.inRange(frame, *INNER))
    return float(1.0 - inside / (height * width))
