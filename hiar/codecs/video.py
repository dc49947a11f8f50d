"""Write decoded frames to an mp4 file that plays everywhere, as they come.

A video is its frames: `frames_sha256` is taken before they are encoded. The encoder is given
settings under which equal frames make equal files all the same, on every x86-64 processor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
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
NUM_THREADS = 4
"""x264 makes other files with other numbers of threads, so the machine's cores must not decide."""
X264_PARAMS = "cpu-independent=1"
"""x264's promise of the same file on every processor (`x264 --fullhelp`).

Without it, version 165 makes another file and other pictures from call to call on a processor with
AVX-512: what its AVX-512 code for the macroblock tree computes depends on what was in memory
before. With it, plain code computes the tree (x264 c24e06c, common/mc.c:697)."""
DETERMINISTIC = {"threads": str(NUM_THREADS), "x264-params": X264_PARAMS}
"""Options of PyAV's `add_stream` for libx264 with which equal frames make equal files."""
ENCODING = {
    "codec": CODEC,
    "crf": CRF,
    "pixel_format": PIXEL_FORMAT,
    "threads": NUM_THREADS,
    "x264_params": X264_PARAMS,
    "conversion": "bilinear, accurate, bit exact",
}
"""All of these settings, for the record of a video."""


def write_mp4(path: Path, frames: Iterable[NDArray[np.uint8]], fps: int, crf: int = CRF) -> int:
    """Encode frames with H.264.

    Args:
        path: The mp4 file; it appears whole or not at all.
        frames: uint8 RGB (H, W, 3), all of one even size.
        fps: Frames a second.
        crf: H.264 quality.

    Returns:
        The number of frames written.

    Raises:
        UsageError: If there is no frame, or sizes are odd or differ.
    """
    with open_mp4(path, fps, crf) as writer:
        writer.write(frames)
    return writer.num_frames


@contextmanager
def open_mp4(path: Path, fps: int, crf: int = CRF) -> Iterator[Mp4Writer]:
    """A writer to a file that appears, whole, when the block ends; on an error it never does.

    Args:
        path: The mp4 file.
        fps: Frames a second.
        crf: H.264 quality.
    """
    import av  # noqa: PLC0415  (the core of hiar runs without it)

    with (
        atomic_path(path) as temporary,
        av.open(str(temporary), "w", format="mp4") as container,
    ):
        writer = Mp4Writer(container, path.name, fps, crf)
        yield writer
        writer.finish()


class Mp4Writer:
    """Encodes frames into an open container, in constant memory.

    Args:
        container: A PyAV output container.
        name: Name of the file, for messages.
        fps: Frames a second.
        crf: H.264 quality.

    Attributes:
        num_frames: Frames written so far.
    """

    def __init__(self, container: Any, name: str, fps: int | Fraction, crf: int = CRF) -> None:
        from av.video.reformatter import Interpolation, VideoReformatter  # noqa: PLC0415

        self.num_frames = 0
        self._name = name
        self._container = container
        options = DETERMINISTIC | {"crf": str(crf)}
        self._stream = container.add_stream(CODEC, rate=fps, options=options)
        self._stream.pix_fmt = PIXEL_FORMAT
        self._size = (0, 0)
        self._sha256 = hashlib.sha256()
        self._reformatter = VideoReformatter()
        # Without the two flags a processor with AVX2 rounds colours another way than one without.
        self._interpolation = (
            Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
        )

    @property
    def frames_sha256(self) -> str:
        """SHA-256 of the frames written so far, uint8 RGB, one after the other: 64 hex digits."""
        return self._sha256.hexdigest()

    def write(self, frames: Iterable[NDArray[np.uint8]]) -> None:
        """Add frames, uint8 RGB (H, W, 3).

        Raises:
            UsageError: If sizes are odd or differ.
        """
        import av  # noqa: PLC0415
        import numpy as np  # noqa: PLC0415

        for pixels in frames:
            if self.num_frames == 0:
                self._stream.height, self._stream.width = self._size = even_size(pixels)
            elif pixels.shape[:2] != self._size:
                raise UsageError(
                    f"frame {self.num_frames} is {pixels.shape[:2]}, the first {self._size}"
                )
            self._sha256.update(np.ascontiguousarray(pixels).data)
            frame = self._reformatter.reformat(
                av.VideoFrame.from_ndarray(pixels, format="rgb24"),
                format=PIXEL_FORMAT,
                interpolation=self._interpolation,
                threads=1,
            )
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
