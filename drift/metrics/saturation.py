"""Saturation: the mean HSV S of a frame. Over-saturation and fading are both drift."""

import cv2
import numpy as np
from numpy.typing import NDArray


def saturation(frame: NDArray[np.uint8]) -> float:
    """Mean of S = (max - min) / max over the pixels of a frame; a black pixel has S = 0.

    S is rounded to 1/255 a pixel, as OpenCV does for 8-bit images.

    Args:
        frame: uint8 (H, W, 3) RGB.

    Returns:
        A value in [0, 1].

    Source: HSV hexcone model (Smith 1978).
    """
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
    return float(cv2.mean(hsv)[1]) / 255.0
