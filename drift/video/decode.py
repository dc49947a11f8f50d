"""Decodes a video with PyAV in one pass, and reports a video of which a part is missing.

With frame threads FFmpeg hides the error at the end of a truncated mp4, and for a truncated
Matroska file it reports none at all. So decoding uses slice threads, and the number of frames or
the duration is checked against what the file declares. Damage inside the file that the decoder
conceals is not detected. Alpha is ignored, a rotation that the file asks for is applied, and
colours of more than 8 bits are rounded to 8.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeAlias

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from drift.video.resample import nearest_in_time

Status: TypeAlias = Literal["ok", "truncated", "unreadable", "empty", "too_short", "too_small"]
DURATION_SLACK_FRAMES = 1.5  # a shorter missing end cannot be told from rounding
MAX_GAP_S = 60.0  # longest gap that sampling by time fills by repeating the frame before it
UNEVEN = 1.5  # a video whose longest frame is this many shortest ones has a variable frame rate
GIF_TRAILER = b"\x3b"  # GIF89a section 27


@dataclass(frozen=True, kw_only=True)
class MediaInfo:
    """How a video is stored.

    Args:
        codec: FFmpeg's codec name, such as h264.
        pix_fmt: FFmpeg's pixel format, such as yuv420p.
        width: Width in pixels, as displayed.
        height: Height in pixels, as displayed.
        fps: Average frames a second; None if the file does not give it.
        frames: Frames yielded so far: all, or those that sampling by time kept.
        duration_s: Time from the first frame to the end of the last, in seconds.
        variable_fps: Whether some frames are shown much longer than others.
        video_streams: Number of video streams in the file without cover pictures; one is measured.
    """

    codec: str
    pix_fmt: str
    width: int
    height: int
    fps: float | None
    frames: int
    duration_s: float
    variable_fps: bool
    video_streams: int


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
    """An open video, whose frames can be read once, in order."""

    def __init__(self, container: Any, stream: Any, path: Path) -> None:
        self._container, self._stream, self._path = container, stream, path
        self._decoded = 0
        self._given = 0
        self._discarded = 0
        self._start_s = self._end_s = 0.0
        self._gaps: list[float] = []  # shortest and longest time between two consecutive frames
        self._shape: tuple[int, ...] = ()

    @property
    def info(self) -> MediaInfo:
        """How the video is stored, with the number of frames yielded so far."""
        context, rate = self._stream.codec_context, self._stream.average_rate
        duration_s = max(0.0, self._end_s - self._start_s)
        uneven = bool(self._gaps) and self._gaps[1] > UNEVEN * self._gaps[0]
        if uneven:  # Matroska still gives the constant rate that was asked of the encoder
            rate = round(self._decoded / duration_s, 3)
        height, width = self._shape[:2] or (int(context.height), int(context.width))
        return MediaInfo(
            codec=str(context.name),
            pix_fmt=str(context.pix_fmt or ""),
            width=width,
            height=height,
            fps=float(rate) if rate else None,
            frames=self._given,
            duration_s=round(duration_s, 6),
            variable_fps=uneven,
            video_streams=sum(1 for stream in self._container.streams.video if _moves(stream)),
        )

    def frames(self, rate: Fraction | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yields every frame, or the nearest in time to each 1/rate s, as uint8 (H, W, 3) RGB.

        Args:
            rate: Frames a second to sample at; None yields every frame once.

        Raises:
            BrokenVideoError: after the last good frame, if the file declares more; at a frame of
                another size than those before; with `rate`, at a jump in time.
        """
        reformatter = VideoReformatter()
        timed = self._timed_frames()
        every = (frame for _, frame in timed)
        for frame in nearest_in_time(self._without_jumps(timed), rate) if rate else every:
            rgb = self._rgb(frame, reformatter)
            self._check_shape(rgb.shape)
            self._given += 1
            yield rgb
        self._check_complete()

    def _rgb(self, frame: Any, reformatter: VideoReformatter) -> NDArray[np.uint8]:
        try:
            rgb: Any = reformatter.reformat(frame, format="rgb24").to_ndarray()
        except (av.FFmpegError, ValueError) as error:
            raise BrokenVideoError(
                "unreadable", f"pixel format {frame.format.name} has no RGB: {_words(error)}"
            ) from error
        if frame.rotation % 360:
            rgb = np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90)))
        return np.asarray(rgb, dtype=np.uint8)

    def _timed_frames(self) -> Iterator[tuple[Fraction, Any]]:
        """Decoded frames with their times; one without a time follows at the average rate."""
        time: Fraction | None = None
        try:
            for packet in self._container.demux(self._stream):
                self._discarded += bool(packet.is_discard)
                for frame in packet.decode():
                    time = self._note_time(frame, time)
                    self._decoded += 1
                    yield time, frame
        except (av.FFmpegError, OSError) as error:
            status: Status = "truncated" if self._decoded else "unreadable"
            raise BrokenVideoError(
                status, f"decoding failed after {self._decoded} frames: {_words(error)}"
            ) from error

    def _without_jumps(self, timed: Iterator[tuple[Fraction, Any]]) -> Iterator[Any]:
        """The same frames; raises at a gap that would make thousands of frames out of one."""
        before: Fraction | None = None
        for time, frame in timed:
            if before is not None and time - before > MAX_GAP_S:
                raise BrokenVideoError(
                    "unreadable",
                    f"time jumps from {float(before):.2f} s to {float(time):.2f} s, more than "
                    f"{MAX_GAP_S:g} s, before frame {self._decoded}; repair the times or leave "
                    "out --fps",
                )
            before = time
            yield time, frame

    def _note_time(self, frame: Any, before: Fraction | None) -> Fraction:
        rate = self._stream.average_rate
        usual = 1 / Fraction(rate) if rate else Fraction(0)
        if frame.pts is not None and frame.time_base:
            time: Fraction = Fraction(frame.time_base) * frame.pts
        else:
            time = Fraction(0) if before is None else before + usual
        if before is None:
            self._start_s = float(time)
        elif time > before:
            gap = float(time - before)
            low, high = self._gaps or (gap, gap)
            self._gaps = [min(low, gap), max(high, gap)]
        length = frame.duration * Fraction(frame.time_base) if frame.duration else usual
        self._end_s = max(self._end_s, float(time + length))
        return time

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        self._shape = self._shape or shape
        if shape != self._shape:
            (height, width), (new_height, new_width) = self._shape[:2], shape[:2]
            raise BrokenVideoError(
                "unreadable",
                f"frames change from {width}x{height} to {new_width}x{new_height} after "
                f"{self._given} frames; values of different sizes cannot be compared",
            )

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
        if self._container.format.name == "gif" and not _ends_with_gif_trailer(self._path):
            raise BrokenVideoError("truncated", f"no GIF trailer after {self._decoded} frames")
        if not self._decoded:
            raise BrokenVideoError("empty", "no frame in the video stream")

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
        path: Video file.

    Yields:
        A reader.

    Raises:
        BrokenVideoError: `empty` for a file of no bytes, `unreadable` for one without a video.
    """
    try:
        if path.stat().st_size == 0:
            raise BrokenVideoError("empty", "the file has no bytes")
        container = av.open(str(path), metadata_errors="replace")
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


def _moves(stream: Any) -> bool:
    """Whether a video stream is a video, not a cover picture."""
    return not stream.disposition & av.stream.Disposition.attached_pic


def _ends_with_gif_trailer(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64))
        return file.read().rstrip(b"\0\r\n ").endswith(GIF_TRAILER)


def _words(error: Exception) -> str:
    """FFmpeg's message without the error number and the path."""
    return str(getattr(error, "strerror", None) or error)
