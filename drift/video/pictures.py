"""Videos that Pillow reads: folders of numbered pictures, and animated WebP.

As in video files, alpha is ignored, a rotation that a picture asks for is applied, and colours of
16 bits are rounded to 8. Unlike FFmpeg, Pillow reports a picture of which a part is missing.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from drift.video.kinds import numbered_pictures, sidecar_of
from drift.video.media import BrokenVideoError, MediaInfo
from drift.video.reader import VideoReader
from drift.video.resample import as_rate
from drift.video.sidecars import read_sidecar

ASSUMED_FPS = 16.0
"""Frame rate of pictures that nothing tells: that of Wan 2.1, whose videos the paper measures."""
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)
"""What Pillow raises at a picture that is damaged."""


class PictureReader(VideoReader):
    """A folder of numbered pictures."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._files = numbered_pictures(folder)
        self._told = read_sidecar(sidecar_of(folder)).fps
        self._fps = self._told or ASSUMED_FPS
        self._is_assumed = self._told is None

    @property
    def info(self) -> MediaInfo:
        """How the video is stored, with the number of frames yielded so far."""
        height, width = self._shape[:2] or (0, 0)
        return MediaInfo(
            codec=_format_of(self._files[0]),
            pix_fmt="rgb24",
            width=width,
            height=height,
            fps=self._fps,
            frames=self._given,
            duration_s=self._duration_s,
            assumed_fps=self._is_assumed,
        )

    def frames(self, rate: Fraction | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yields the pictures; `rate` is also their own rate where the sidecar tells none."""
        if self._told is None and rate is not None:
            self._fps, self._is_assumed = float(rate), False
        return super().frames(rate)

    def _timed_frames(self) -> Iterator[tuple[Fraction, Any]]:
        length, before = 1 / as_rate(self._fps), None
        for index, file in enumerate(self._files):
            picture = read_picture(file)
            self._shape = self._shape or picture.shape
            if picture.shape != self._shape:
                (height, width), (other_height, other_width) = self._shape[:2], picture.shape[:2]
                raise BrokenVideoError(
                    "unreadable",
                    f"{file.name} is {other_width}x{other_height}, those before it "
                    f"{width}x{height}; values of different sizes cannot be compared",
                )
            time = index * length
            self._note_time(time, length, before)
            self._decoded += 1
            yield time, picture
            before = time

    def _rgb(self, frame: Any) -> NDArray[np.uint8]:
        return np.asarray(frame, dtype=np.uint8)

    def _check_complete(self) -> None:
        """Every picture was read, or its error raised."""


class AnimationReader(VideoReader):
    """An animated WebP file."""

    def __init__(self, image: Any) -> None:
        super().__init__()
        self._image = image

    @property
    def info(self) -> MediaInfo:
        """How the video is stored, with the number of frames yielded so far."""
        duration_s = self._duration_s
        return MediaInfo(
            codec="webp",
            pix_fmt=str(self._image.mode).lower(),
            width=int(self._image.width),
            height=int(self._image.height),
            fps=round(self._decoded / duration_s, 3) if duration_s else None,
            frames=self._given,
            duration_s=duration_s,
            variable_fps=self._is_uneven,
        )

    def _timed_frames(self) -> Iterator[tuple[Fraction, Any]]:
        time, before = Fraction(0), None
        for index in range(self._image.n_frames):
            try:
                self._image.seek(index)
                frame = self._image.convert("RGB")
            except UNREADABLE as error:
                raise BrokenVideoError(
                    "truncated", f"decoding failed after {index} frames: {error}"
                ) from error
            length = Fraction(int(self._image.info.get("duration", 0)), 1000)
            self._note_time(time, length, before)
            self._decoded += 1
            yield time, frame
            time, before = time + length, time

    def _rgb(self, frame: Any) -> NDArray[np.uint8]:
        return np.array(frame, dtype=np.uint8)

    def _check_complete(self) -> None:
        """The number of frames stands in the file, and each was read or its error raised."""


@contextmanager
def open_animation(path: Path) -> Iterator[AnimationReader]:
    """Opens an animated WebP file.

    Raises:
        BrokenVideoError: `truncated` if the file is shorter than it says, else `unreadable`.
    """
    with path.open("rb") as file:
        declared = int.from_bytes(file.read(8)[4:], "little") + 8  # RIFF: size after 8 bytes
    present = path.stat().st_size
    if present < declared:
        raise BrokenVideoError("truncated", f"{present} of {declared} bytes declared")
    try:
        image = Image.open(path)
    except UNREADABLE as error:
        raise BrokenVideoError("unreadable", f"no animation: {error}") from error
    with image:
        yield AnimationReader(image)


def read_picture(file: Path) -> NDArray[np.uint8]:
    """Reads a picture as uint8 (H, W, 3) RGB.

    Raises:
        BrokenVideoError: it cannot be read whole; names the file.
    """
    try:
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # grey of 16 bits, which Pillow would clip to 8
                grey = np.asarray(upright, dtype=np.float64) * (255 / 65535)
                return np.repeat(grey.round().clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
            return np.array(upright.convert("RGB"), dtype=np.uint8)
    except UNREADABLE as error:
        reason = str(error).replace(str(file), file.name)
        raise BrokenVideoError("unreadable", f"{file.name} cannot be read: {reason}") from error


def _format_of(file: Path) -> str:
    suffix = file.suffix.lower().removeprefix(".")
    return "jpeg" if suffix == "jpg" else suffix
