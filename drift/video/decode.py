"""Decodes a video with PyAV in one pass, and reports a video of which a part is missing.

With frame threads FFmpeg hides the error at the end of a truncated mp4, and for a truncated
Matroska file it reports none at all. So decoding uses slice threads, and the number of frames or
the duration is checked against what the file declares. Damage inside the file that the decoder
conceals is not detected. Alpha is ignored, a rotation that the file asks for is applied, and
colours of more than 8 bits are rounded to 8.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from drift.video.kinds import is_animated
from drift.video.media import HDR_TRANSFERS, BrokenVideoError, MediaInfo, Status
from drift.video.pictures import PictureReader, open_animation
from drift.video.reader import VideoReader

__all__ = ["BrokenVideoError", "MediaInfo", "open_video"]

DURATION_SLACK_FRAMES = 1.5  # a shorter missing end cannot be told from rounding
GIF_TRAILER = b"\x3b"  # GIF89a section 27
OPEN_OPTIONS = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
"""Tags that are no text make no video unreadable; PyAV 19 has no such option, and needs none."""


class FileReader(VideoReader):
    """A video file that FFmpeg decodes."""

    def __init__(self, container: Any, stream: Any, path: Path) -> None:
        super().__init__()
        self._container, self._stream, self._path = container, stream, path
        self._reformatter = VideoReformatter()
        self._discarded = 0
        self._read_bytes = 0  # where the last packet ends in the file

    @property
    def info(self) -> MediaInfo:
        """How the video is stored, with the number of frames yielded so far."""
        context, rate = self._stream.codec_context, self._stream.average_rate
        if self._is_uneven:  # Matroska still gives the constant rate that was asked of the encoder
            rate = round(self._decoded / self._duration_s, 3)
        height, width = self._shape[:2] or (int(context.height), int(context.width))
        return MediaInfo(
            codec=str(context.name),
            pix_fmt=str(context.pix_fmt or ""),
            width=width,
            height=height,
            fps=float(rate) if rate else None,
            frames=self._given,
            duration_s=self._duration_s,
            variable_fps=self._is_uneven,
            video_streams=sum(1 for stream in self._container.streams.video if _moves(stream)),
            hdr=HDR_TRANSFERS.get(int(context.color_trc), ""),
        )

    def _rgb(self, frame: Any) -> NDArray[np.uint8]:
        try:
            rgb: Any = self._reformatter.reformat(frame, format="rgb24").to_ndarray()
        except (av.FFmpegError, ValueError) as error:
            raise BrokenVideoError(
                "unreadable", f"pixel format {frame.format.name} has no RGB: {_words(error)}"
            ) from error
        if frame.rotation % 360:
            rgb = np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90)))
        return np.asarray(rgb, dtype=np.uint8)

    def _timed_frames(self) -> Iterator[tuple[Fraction, Any]]:
        """Decoded frames with their times; one without a time follows at the average rate."""
        before: Fraction | None = None
        try:
            for packet in self._container.demux(self._stream):
                self._discarded += bool(packet.is_discard)
                self._read_bytes = (packet.pos or 0) + packet.size or self._read_bytes
                for frame in packet.decode():
                    time, length = self._time(frame, before)
                    self._note_time(time, length, before)
                    self._decoded += 1
                    yield time, frame
                    before = time
        except (av.FFmpegError, OSError) as error:
            status: Status = "truncated" if self._decoded else "unreadable"
            raise BrokenVideoError(
                status, f"decoding failed after {self._decoded} frames: {_words(error)}"
            ) from error

    def _time(self, frame: Any, before: Fraction | None) -> tuple[Fraction, Fraction]:
        """Begin and length of a frame in seconds."""
        rate = self._stream.average_rate
        usual = 1 / Fraction(rate) if rate else Fraction(0)
        if frame.pts is not None and frame.time_base:
            time: Fraction = Fraction(frame.time_base) * frame.pts
        else:
            time = Fraction(0) if before is None else before + usual
        return time, Fraction(frame.time_base) * frame.duration if frame.duration else usual

    def _check_complete(self) -> None:
        """Compares the decoded frames with the frame count or duration that the file declares."""
        expected = self._stream.frames - self._discarded
        rate, declared_s = self._stream.average_rate, self._declared_s()
        slack_s = DURATION_SLACK_FRAMES / float(rate) if rate else 0.1
        if self._stream.frames and self._decoded < expected:
            raise BrokenVideoError("truncated", f"{self._decoded} of {expected} frames decoded")
        if not self._stream.frames and declared_s and self._end_s + slack_s < declared_s:
            raise BrokenVideoError(
                "truncated", f"frames end at {self._end_s:.2f} s of {declared_s:.2f} s declared"
            )
        if self._container.format.name == "yuv4mpegpipe" and self._has_half_a_frame():
            raise BrokenVideoError("truncated", f"the file ends in frame {self._decoded}")
        if self._container.format.name == "gif" and not _ends_with_gif_trailer(self._path):
            raise BrokenVideoError("truncated", f"no GIF trailer after {self._decoded} frames")
        if not self._decoded:
            raise BrokenVideoError("empty", "no frame in the video stream")

    def _has_half_a_frame(self) -> bool:
        """Whether bytes follow the last whole frame; FFmpeg's y4m reader passes over them."""
        return self._path.stat().st_size > self._read_bytes

    def _declared_s(self) -> float | None:
        """Length of the video stream as the file declares it; Matroska keeps it in a tag."""
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
        path: Video file, or a folder of numbered pictures.

    Yields:
        A reader.

    Raises:
        BrokenVideoError: `empty` for a file of no bytes, `unreadable` for one without a video,
            `truncated` for pictures with a gap in their numbers.
    """
    if path.is_dir():
        yield PictureReader(path)
        return
    if path.suffix.lower() == ".webp" and is_animated(path):  # FFmpeg decodes no animation
        with open_animation(path) as animation:
            yield animation
        return
    try:
        if path.stat().st_size == 0:
            raise BrokenVideoError("empty", "the file has no bytes")
        container = av.open(str(path), **OPEN_OPTIONS)
    except (av.FFmpegError, OSError) as error:
        raise BrokenVideoError(
            "unreadable", f"no video container, or its index is lost: {_words(error)}"
        ) from error
    with container:
        stream = container.streams.best("video")
        if stream is None or stream.codec_context is None:
            raise BrokenVideoError("unreadable", "no video stream that can be decoded")
        stream.thread_type = "SLICE"
        yield FileReader(container, stream, path)


def _moves(stream: Any) -> bool:
    """Whether a video stream is a video, not a cover picture or the still of an AVIF file."""
    is_cover = stream.disposition & av.stream.Disposition.attached_pic
    return not is_cover and stream.frames != 1


def _ends_with_gif_trailer(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64))
        return file.read().rstrip(b"\0\r\n ").endswith(GIF_TRAILER)


def _words(error: Exception) -> str:
    """FFmpeg's message without the error number and the path."""
    return str(getattr(error, "strerror", None) or error)
