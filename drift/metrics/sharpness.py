"""Sharpness: the variance of the Laplacian of the grey frame. Its slope is taken on its log."""

import cv2
import numpy as np
from numpy.typing import NDArray


def sharpness(frame: NDArray[np.uint8]) -> float:
    """Population variance of the 4-neighbour Laplacian of the grey frame.

    Grey is Rec. 601 rounded to 0..255; borders are mirrored without the edge pixel. The value
    depends strongly on the frame size, so only videos of one size can be compared.

    Args:
        frame: uint8 (H, W, 3) RGB.

    Returns:
        A variance in grey levels squared, >= 0; exactly 0 for a flat frame.

    Source: Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000.
    """
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    laplacian = cv2.Laplacian(grey, cv2.CV_16S, ksize=1)
    _, deviation = cv2.meanStdDev(laplacian)
    return float(deviation.item()) ** 2
