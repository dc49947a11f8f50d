"""Contrast: how much the luminance of a frame varies over its pixels."""

import cv2
import numpy as np
from numpy.typing import NDArray


def contrast(frame: NDArray[np.uint8]) -> float:
    """Population standard deviation of the grey frame over its pixels.

    Grey is Rec. 601 rounded to 0..255, as OpenCV computes it.

    Args:
        frame: uint8 (H, W, 3) RGB.

    Returns:
        A value in [0, 0.5]; 0 for a flat frame, 0.5 for one that is half black, half white.

    Source: root mean square contrast, Peli 1990 ("Contrast in complex images").
    """
    _, deviation = cv2.meanStdDev(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
    return float(deviation.item()) / 255.0
