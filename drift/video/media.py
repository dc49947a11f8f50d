"""What is known about a video: how it is stored, why it cannot be scored, what to warn about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from drift.video.resample import count_videos, rate_warnings

Status: TypeAlias = Literal[
    "ok", "truncated", "unreadable", "empty", "too_short", "too_small", "hdr", "no_prompt"
]
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Codes of the transfer functions of ITU-R BT.2100 (ITU-T H.273, table 3), and their names."""


@dataclass(frozen=True, kw_only=True)
class MediaInfo:
    """How a video is stored.

    Args:
        codec: FFmpeg's codec name, such as h264; for pictures the name of their format, as png.
        pix_fmt: FFmpeg's pixel format, such as yuv420p.
        width: Width in pixels, as displayed.
        height: Height in pixels, as displayed.
        fps: Average frames a second; None if the file does not give it.
        frames: Frames yielded so far: all, or those that sampling by time kept.
        duration_s: Time from the first frame to the end of the last, in seconds.
        variable_fps: Whether some frames are shown much longer than others.
        assumed_fps: Whether `fps` is an assumption, since nothing told the rate of the pictures.
        video_streams: Number of video streams in the file without cover pictures; one is measured.
        hdr: `PQ` or `HLG` if the values stand for light of a high dynamic range, else empty.
    """

    codec: str
    pix_fmt: str
    width: int
    height: int
    fps: float | None
    frames: int
    duration_s: float
    variable_fps: bool = False
    assumed_fps: bool = False
    video_streams: int = 1
    hdr: str = ""


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


def media_warnings(media: Sequence[Mapping[str, Any]], fps: float | None) -> list[str]:
    """Warnings about how the scored videos are stored, where it affects the values.

    Args:
        media: Fields of each video's `MediaInfo`.
        fps: Rate at which the videos were sampled; None if every frame was measured.

    Returns:
        Lines to show to the user.
    """
    lines = rate_warnings(media, fps)
    hdr = sum(1 for entry in media if entry.get("hdr"))
    several = sum(1 for entry in media if entry.get("video_streams", 1) > 1)
    if hdr:
        lines.append(f"HDR ({count_videos(hdr)}): measured as stored, without tone mapping")
    if several:
        lines.append(
            f"several video streams ({count_videos(several)}): the one that FFmpeg calls best is "
            "measured"
        )
    return lines
