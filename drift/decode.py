"""Decodes a video with PyAV in one pass, and says when it did not get all of it.

Frame threading swallows the error at the end of a cut mp4, and Matroska reports none at all, so
decoding uses slice threads and what was decoded is checked against what the file declares.
Not detected: damage inside the file that the decoder conceals.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

Status: TypeAlias = Literal["ok", "truncated", "unreadable", "empty", "too_short"]
DURATION_SLACK_FRAMES = 1.5  # a missing tail shorter than this cannot be told from rounding
GIF_TRAILER = b"\x3b"  # GIF89a section 27


@dataclass(frozen=True, kw_only=True)
class MediaInfo:
    """How a video is stored.

    Args:
        codec: FFmpeg's codec name, such as h264.
        pix_fmt: FFmpeg's pixel format, such as yuv420p.
        width: Width in pixels.
        height: Height in pixels.
        fps: Average frames a second, None if the file does not say.
        frames: Frames decoded.
    """

    codec: str
    pix_fmt: str
    width: int
    height: int
    fps: float | None
    frames: int


class BrokenVideoError(Exception):
    """A video that cannot be scored.

    Args:
        status: `truncated`, `unreadable` or `empty`.
        reason: One line for the user.
    """

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason


class VideoReader:
    """The frames of an open video, once, in order; `info` counts what was decoded so far."""

    def __init__(self, container: Any, stream: Any, path: Path) -> None:
        self._container, self._stream, self._path = container, stream, path
        self._decoded = 0
        self._discarded = 0
        self._end_s = 0.0

    @property
    def info(self) -> MediaInfo:
        """How the video is stored, with the number of frames decoded so far."""
        context, rate = self._stream.codec_context, self._stream.average_rate
        return MediaInfo(
            codec=str(context.name),
            pix_fmt=str(context.pix_fmt or ""),
            width=int(context.width),
            height=int(context.height),
            fps=float(rate) if rate else None,
            frames=self._decoded,
        )

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yields every frame as uint8 (H, W, 3) RGB.

        Raises:
            BrokenVideoError: after the last good frame, when the file declares more.
        """
        reformatter = VideoReformatter()
        try:
            for packet in self._container.demux(self._stream):
                self._discarded += bool(packet.is_discard)
                for frame in packet.decode():
                    self._decoded += 1
                    self._end_s = max(self._end_s, self._frame_end_s(frame))
                    rgb = reformatter.reformat(frame, format="rgb24").to_ndarray()
                    yield np.asarray(rgb, dtype=np.uint8)
        except (av.FFmpegError, OSError) as error:
            status: Status = "truncated" if self._decoded else "unreadable"
            raise BrokenVideoError(
                status, f"decoding failed after {self._decoded} frames: {_words(error)}"
            ) from error
        self._check_complete()

    def _frame_end_s(self, frame: Any) -> float:
        rate = self._stream.average_rate
        length_s = float(frame.duration * frame.time_base) if frame.duration else 0.0
        return float(frame.time or 0.0) + (length_s or (1 / float(rate) if rate else 0.0))

    def _check_complete(self) -> None:
        """Compares what was decoded with the frame count or duration that the file declares."""
        expected = self._stream.frames - self._discarded
        rate, declared_s = self._stream.average_rate, self._declared_s()
        slack_s = DURATION_SLACK_FRAMES / float(rate) if rate else 0.1
        if self._stream.frames and self._decoded < expected:
            raise BrokenVideoError("truncated", f"{self._decoded} of {expected} frames decoded")
        if not self._stream.frames and declared_s and self._end_s + slack_s < declared_s:
            raise BrokenVideoError(
                "truncated", f"frames end at {self._end_s:.2f} s of {declared_s:.2f} s declared"
            )
        if self._container.format.name == "gif" and not _ends_with_gif_trailer(self._path):
            raise BrokenVideoError("truncated", f"no GIF trailer after {self._decoded} frames")
        if not self._decoded:
            raise BrokenVideoError("empty", "no frame in the video stream")

    def _declared_s(self) -> float | None:
        """Length of the video stream as the header gives it: Matroska keeps it in a tag."""
        tag = str(self._stream.metadata.get("DURATION", ""))
        parts = tag.split(":")
        if len(parts) == 3:
            try:
                return int(parts[0]) * 3600 + int(parts[1]) * 60 + float(parts[2])
            except ValueError:
                return None
        if len(self._container.streams) == 1 and self._container.duration:
            return float(self._container.duration / av.time_base)
        return None


@contextmanager
def open_video(path: Path) -> Iterator[VideoReader]:
    """Opens a video for one pass.

    Args:
        path: The file.

    Yields:
        A reader.

    Raises:
        BrokenVideoError: `empty` for a file of no bytes, `unreadable` for one without a video.
    """
    if path.stat().st_size == 0:
        raise BrokenVideoError("empty", "the file has no bytes")
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise BrokenVideoError(
            "unreadable", f"no video container, or its index is lost: {_words(error)}"
        ) from error
    with container:
        stream = container.streams.best("video")
        if stream is None or stream.codec_context is None:
            raise BrokenVideoError("unreadable", "no video stream that can be decoded")
        stream.thread_type = "SLICE"
        yield VideoReader(container, stream, path)


def _ends_with_gif_trailer(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64))
        return file.read().rstrip(b"\0\r\n ").endswith(GIF_TRAILER)


def _words(error: Exception) -> str:
    """FFmpeg's message without the errno and the machine's path."""
    return str(getattr(error, "strerror", None) or error)
