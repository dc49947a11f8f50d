"""Write decoded frames to an mp4 file that plays everywhere, as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiar.errors import UsageError
from hiar.runtime.files import atomic_path

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
    with open_mp4(path, fps) as writer:
        writer.write(frames)
    return writer.num_frames


@contextmanager
def open_mp4(path: Path, fps: int) -> Iterator[Mp4Writer]:
    """A writer to a file that appears, whole, when the block ends; on an error it never does.

    Args:
        path: The mp4 file.
        fps: Frames a second.
    """
    import av  # noqa: PLC0415  (the core of hiar runs without it)

    with (
        atomic_path(path) as temporary,
        av.open(str(temporary), "w", format="mp4") as container,
    ):
        writer = Mp4Writer(container, path.name, fps)
        yield writer
        writer.finish()


class Mp4Writer:
    """Encodes frames into an open container, in constant memory.

    Args:
        container: A PyAV output container.
        name: Of the file, for messages.
        fps: Frames a second.
    """

    def __init__(self, container: Any, name: str, fps: int) -> None:
        self.num_frames = 0
        self._name = name
        self._container = container
        self._stream = container.add_stream(CODEC, rate=fps, options={"crf": str(CRF)})
        self._stream.pix_fmt = PIXEL_FORMAT
        self._size = (0, 0)

    def write(self, frames: Iterable[NDArray[np.uint8]]) -> None:
        """Add frames, uint8 RGB (H, W, 3).

        Raises:
            UsageError: If sizes are odd or differ.
        """
        import av  # noqa: PLC0415

        for pixels in frames:
            if self.num_frames == 0:
                self._stream.height, self._stream.width = self._size = even_size(pixels)
            elif pixels.shape[:2] != self._size:
                raise UsageError(
                    f"frame {self.num_frames} is {pixels.shape[:2]}, the first {self._size}"
                )
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            self._container.mux(self._stream.encode(frame))
            self.num_frames += 1

    def finish(self) -> None:
        """Encode what the coder has kept back.

        Raises:
            UsageError: If there was no frame.
        """
        if self.num_frames == 0:
            raise UsageError(f"{self._name}: there is no frame to write")
        self._container.mux(self._stream.encode())


def even_size(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    """(height, width) of a frame; both even, as 4:2:0 colour needs."""
    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        raise UsageError(f"a frame of {height} x {width} px: both must be even for {PIXEL_FORMAT}")
    return height, width
