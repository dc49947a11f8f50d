"""How much a video moves: a cheap stand-in for VBench's dynamic degree.

VBench takes RAFT's flow between frames and the mean of its largest 5 % of magnitudes (VBench,
dynamic_degree.py). Here the flow is OpenCV's Farneback, which needs no weights, and the value stays
a length: pixels a frame on a picture whose short side is 256, the scale of VBench's threshold.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from hiar.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP_SHARE = 0.05
REFERENCE_PX = 256


class Motion(NamedTuple):
    """How much a video moves, in pixels a frame at a short side of 256, as means over frame pairs.

    Attributes:
        top: Mean of the largest 5 % of the flow's magnitudes.
        mean: Mean of all magnitudes.
    """

    top: float
    mean: float


def dynamic_degree(frames: NDArray[np.uint8]) -> float:
    """The `top` of `measure_motion`."""
    return measure_motion(frames).top


def measure_motion(frames: NDArray[np.uint8]) -> Motion:
    """Measures the flow between consecutive frames.

    Args:
        frames: uint8 RGB (T, H, W, 3), T >= 2.

    Raises:
        UsageError: For fewer than two frames.
    """
    if len(frames) < 2:
        raise UsageError(f"{len(frames)} frames: motion needs at least 2")
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    scale = REFERENCE_PX / min(grey[0].shape)
    top, mean = np.mean([_motion(a, b) for a, b in pairwise(grey)], axis=0) * scale
    return Motion(top=float(top), mean=float(mean))


def optical_flow(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Farneback's flow from one grey picture to another.

    Args:
        first, second: uint8 (H, W).

    Returns:
        float32 (H, W, 2): pixels to the right and down.
    """
    flow: NDArray[np.float32] = cv2.calcOpticalFlowFarneback(
        first, second, None, pyr_scale=0.5, levels=3, winsize=9, iterations=3, poly_n=5,
        poly_sigma=1.1, flags=0,
    )  # fmt: skip
    return flow


def _motion(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Motion:
    """Motion from one grey picture to another, in their own pixels."""
    magnitudes = np.sort(np.linalg.norm(optical_flow(first, second), axis=-1).ravel())
    count = max(1, round(TOP_SHARE * magnitudes.size))
    return Motion(top=float(magnitudes[-count:].mean()), mean=float(magnitudes.mean()))
