"""Faults of a picture, as functions of a frame and a strength from 0 (none) to 1 (the largest).

What strength 1 means is ours: clearly visible in every frame, and no more than videos that drift
badly show. Results are rounded to whole levels and limited to 0..255.
"""

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from drift.metrics.brightness import LUMA

Frame: TypeAlias = NDArray[np.uint8]
Picture: TypeAlias = NDArray[np.float32]
Degradation: TypeAlias = Callable[[Frame, float, int], Frame]
"""Maps a frame, the strength at it and its index in the video to the degraded frame."""

MAX_SATURATION = 1.0  # colours lie up to twice as far from grey
MAX_CONTRAST = 0.6  # levels lie up to 1.6 times as far from the middle
MIDDLE_LEVEL = 127.5
MAX_BLUR = 3.0  # standard deviation in pixels of a picture of REFERENCE_HEIGHT
REFERENCE_HEIGHT = 480  # of Wan 2.1's videos; blurs grow with the height of the picture
MAX_SHARPENING = 2.0  # of what a blur of UNSHARP_RADIUS takes away, this much is added
UNSHARP_RADIUS = 1.5
MAX_NOISE = 20.0  # standard deviation in levels, new in each frame
MAX_BAND = 32.0  # distance in levels of the levels that are left
MAX_CAST = 0.3  # red gains up to this share, blue loses it
MAX_STOPS = 1.0  # light is up to doubled
MAX_JUMP = 16.0  # levels by which every second block is lighter
FIRST_BLOCK, BLOCK = 9, 12
"""Frames of the first and of each later block: three latent frames, as Self-Forcing and its kin
denoise them together, of a VAE whose first latent frame is one frame and each later one four."""


def _rounded(picture: Picture) -> Frame:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _blurred(frame: Frame, pixels: float) -> Frame:
    """A Gaussian blur whose width is given for a picture of `REFERENCE_HEIGHT`."""
    sigma = pixels * frame.shape[0] / REFERENCE_HEIGHT
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma) if sigma > 0 else frame, np.uint8)


def saturation(frame: Frame, strength: float, index: int) -> Frame:
    """Moves every colour away from the grey of the same luminance."""
    picture = frame.astype(np.float32)
    red, green, blue = (weight * picture[..., i : i + 1] for i, weight in enumerate(LUMA))
    grey = red + green + blue  # not a matrix product, whose rounding depends on the processor
    return _rounded(grey + (1 + MAX_SATURATION * strength) * (picture - grey))


def contrast(frame: Frame, strength: float, index: int) -> Frame:
    """Moves every level away from the middle of the range."""
    picture = frame.astype(np.float32)
    return _rounded(MIDDLE_LEVEL + (1 + MAX_CONTRAST * strength) * (picture - MIDDLE_LEVEL))


def blur(frame: Frame, strength: float, index: int) -> Frame:
    """Blurs with a Gaussian."""
    return _blurred(frame, MAX_BLUR * strength)


def sharpening(frame: Frame, strength: float, index: int) -> Frame:
    """Adds what a small blur takes away (unsharp masking)."""
    picture = frame.astype(np.float32)
    detail = picture - _blurred(frame, UNSHARP_RADIUS).astype(np.float32)
    return _rounded(picture + MAX_SHARPENING * strength * detail)


def noise(frame: Frame, strength: float, index: int) -> Frame:
    """Adds Gaussian noise that is new in each frame and the same in each call."""
    draws = np.random.default_rng(index).standard_normal(frame.shape, dtype=np.float32)
    return _rounded(frame.astype(np.float32) + MAX_NOISE * strength * draws)


def banding(frame: Frame, strength: float, index: int) -> Frame:
    """Leaves only levels that lie evenly apart."""
    step = 1 + (MAX_BAND - 1) * strength
    return _rounded(np.rint(frame.astype(np.float32) / step) * step)


def colour_cast(frame: Frame, strength: float, index: int) -> Frame:
    """Makes the picture warmer: more red, less blue."""
    gains = np.array([1 + MAX_CAST * strength, 1, 1 - MAX_CAST * strength], np.float32)
    return _rounded(frame.astype(np.float32) * gains)


def exposure(frame: Frame, strength: float, index: int) -> Frame:
    """Multiplies the light; what exceeds the range is clipped."""
    return _rounded(frame.astype(np.float32) * np.float32(2 ** (MAX_STOPS * strength)))


def block_jumps(frame: Frame, strength: float, index: int) -> Frame:
    """Makes every second block of the video lighter, so that each border of blocks jumps."""
    block = (index - FIRST_BLOCK) // BLOCK + 1
    return _rounded(frame.astype(np.float32) + MAX_JUMP * strength * (block % 2))


DEGRADATIONS: dict[str, Degradation] = {
    "saturation": saturation,
    "contrast": contrast,
    "blur": blur,
    "sharpening": sharpening,
    "noise": noise,
    "banding": banding,
    "colour_cast": colour_cast,
    "exposure": exposure,
    "block_jumps": block_jumps,
}
