"""First, middle and last frame of a video side by side, made during the decoding pass."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SMALL, LARGE = (160, 90), (320, 180)  # boxes in pixels: in a table of videos, and on its own
GAP_PX = 2
MAX_HELD = 32  # small frames held at once
WEBP_QUALITY = 60  # three small thumbnails of a photograph: about 5 kB, three large ones: 15 kB

Frame = NDArray[np.uint8]


class Filmstrip:
    """Keeps a few of the frames it is given, since the length is not known before the end.

    Every k-th frame is held, and k doubles whenever there are too many. So the middle frame is off
    by at most 1/32 of the length, and memory does not depend on the length.
    """

    def __init__(self) -> None:
        self._held: list[Frame] = []
        self._stride = 1
        self._count = 0
        self._last: Frame | None = None

    def add(self, frame: Frame) -> None:
        """Takes the next frame, uint8 (H, W, 3) RGB, which must not change afterwards."""
        if self._count % self._stride == 0:
            if len(self._held) == MAX_HELD:
                self._held = self._held[::2]
                self._stride *= 2
            if self._count % self._stride == 0:
                self._held.append(shrink(frame, LARGE))
        self._last = frame
        self._count += 1

    def frames(self) -> list[Frame]:
        """First, middle and last frame in the large box; empty if there was none."""
        if self._last is None:
            return []
        middle = round((self._count - 1) / 2 / self._stride)
        return [
            self._held[0],
            self._held[min(middle, len(self._held) - 1)],
            shrink(self._last, LARGE),
        ]

    def encode(self, box: tuple[int, int] = SMALL) -> bytes:
        """The three frames side by side as WebP, each within a box; no bytes without a frame."""
        frames = [shrink(frame, box) for frame in self.frames()]
        if not frames:
            return b""
        gap: Any = np.full((frames[0].shape[0], GAP_PX, 3), 128, np.uint8)
        strip = np.hstack([frames[0], gap, frames[1], gap, frames[2]])
        done, data = cv2.imencode(
            ".webp",
            cv2.cvtColor(strip, cv2.COLOR_RGB2BGR),
            [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY],
        )
        assert done, "OpenCV's wheels are built with WebP"
        return data.tobytes()


def shrunk_size(width: int, height: int, box: tuple[int, int] = SMALL) -> tuple[int, int]:
    """Width and height of a frame scaled down to fit the box, never up, and at least 1."""
    scale = min(1.0, box[0] / width, box[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def strip_size(width: int, height: int, box: tuple[int, int] = SMALL) -> tuple[int, int]:
    """Width and height of the picture of three thumbnails of frames of this size."""
    small_width, small_height = shrunk_size(width, height, box)
    return 3 * small_width + 2 * GAP_PX, small_height


def shrink(frame: Frame, box: tuple[int, int] = SMALL) -> Frame:
    """Scales a frame down to fit a box, never up.

    Args:
        frame: uint8 (H, W, 3).
        box: Largest width and height in pixels.

    Returns:
        uint8 (h, w, 3) of the same shape up to rounding.
    """
    height, width = frame.shape[:2]
    small = cv2.resize(frame, shrunk_size(width, height, box), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)
