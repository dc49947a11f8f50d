"""Write decoded frames to an mp4 file that plays everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hiar.errors import UsageError
from hiar.files import atomic_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CODEC = "libx264"
CRF = 12
"""H.264 quality: fine enough that the coder adds little to a metric's slope."""
PIXEL_FORMAT = "yuv420p"


def write_mp4(path: Path, frames: Iterable[NDArray[np.uint8]], fps: int) -> int:
    """Encode frames with H.264.

    Args:
        path: The mp4 file; it appears whole or not at all.
        frames: uint8 RGB (H, W, 3), all of one even size.
        fps: Frames a second.

    Returns:
        The number of frames written.

    Raises:
        UsageError: If there is no frame, or sizes are odd or differ.
    """
    import av  # noqa: PLC0415  (the core of hiar runs without it)

    count, size = 0, (0, 0)
    with (
        atomic_path(path) as temporary,
        av.open(str(temporary), "w", format="mp4") as container,
    ):
        stream = container.add_stream(CODEC, rate=fps, options={"crf": str(CRF)})
        stream.pix_fmt = PIXEL_FORMAT
        for pixels in frames:
            if count == 0:
                stream.height, stream.width = size = even_size(pixels)
            elif pixels.shape[:2] != size:
                raise UsageError(f"frame {count} is {pixels.shape[:2]}, the first {size}")
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame))
            count += 1
        if count == 0:
            raise UsageError(f"{path.name}: there is no frame to write")
        container.mux(stream.encode())
    return count


def even_size(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    """(height, width) of a frame; both even, as 4:2:0 colour needs."""
    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        raise UsageError(f"a frame of {height} x {width} px: both must be even for {PIXEL_FORMAT}")
    return height, width
