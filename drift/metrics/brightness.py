"""Brightness: the mean luminance of a frame. A video that darkens or pales has drifted."""

import cv2
import numpy as np
from numpy.typing import NDArray

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luminance (ITU-R BT.601)."""


def brightness(frame: NDArray[np.uint8]) -> float:
    """Mean of 0.299 R + 0.587 G + 0.114 B over the pixels of a frame.

    Args:
        frame: uint8 (H, W, 3) RGB.

    Returns:
        A value in [0, 1]; 1 is white.

    Source: luma of ITU-R BT.601.
    """
    means = cv2.mean(frame)[:3]
    return sum(weight * mean for weight, mean in zip(LUMA, means, strict=True)) / 255.0
