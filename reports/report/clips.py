"""Small looping clips of a video's first and last seconds, as data that a page can hold."""

from __future__ import annotations

import base64
import io
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hiar.codecs.video import Mp4Writer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reports.records.measurements import Measurements
    from reports.records.video_records import VideoRecord

    Frame = NDArray[np.uint8]

SECONDS = 2.0
"""Seconds of each end that are shown."""
MAX_WIDTH_PX = 240
CRF = 27
"""H.264 quality of the page's copies; measurements never see them."""
POSTER_QUALITY = 70


@dataclass(frozen=True, kw_only=True)
class Clip:
    """The two ends of one video, as films for the page.

    Attributes:
        first, last: Data URIs of mp4 files, each `seconds` long at most.
        first_poster, last_poster: Data URIs of their first pictures, for print and before playing.
        starts_s: Second of the video at which each end starts.
    """

    label: str
    prompt: str
    seconds: float
    starts_s: tuple[float, float]
    first: str
    last: str
    first_poster: str
    last_poster: str
    width: int
    height: int

    @property
    def pixelated(self) -> bool:
        """Whether pictures are so small that a browser shows them enlarged, pixel by pixel."""
        return self.width < 128


def clips_to_make(measurements: Measurements) -> list[tuple[str, VideoRecord]]:
    """Lists, for every run, its label and its video of the first prompt that was sampled."""
    runs = [run for run in measurements.shown_runs if measurements.videos.get(run.name)]
    if not runs:
        return []
    prompt_index = measurements.videos[runs[0].name][0].prompt_index
    return [
        (run.label, video)
        for run in runs
        for video in measurements.videos[run.name]
        if video.prompt_index == prompt_index
    ]


def make_clip(label: str, video: VideoRecord) -> Clip:
    """Decodes a video once and encodes its two ends."""
    from drift.video.decode import open_video  # noqa: PLC0415  (only where a video is decoded)

    num = min(video.num_frames, max(1, round(SECONDS * video.fps)))
    first: list[Frame] = []
    last: deque[Frame] = deque(maxlen=num)
    with open_video(video.path) as reader:
        for frame in reader.frames():
            if len(first) < num:
                first.append(frame)
            last.append(frame)
    ends = [[shrink(frame) for frame in end] for end in (first, last)]
    height, width = ends[0][0].shape[:2]
    films = [_data_uri(_encode(end, video.fps), "video/mp4") for end in ends]
    posters = [_data_uri(_picture(end[0]), "image/webp") for end in ends]
    return Clip(
        label=label, prompt=video.prompt, seconds=num / video.fps,
        starts_s=(0.0, (video.num_frames - num) / video.fps),
        first=films[0], last=films[1], first_poster=posters[0], last_poster=posters[1],
        width=width, height=height,
    )  # fmt: skip


def shrink(frame: Frame) -> Frame:
    """Shrinks a picture to at most 240 pixels of width and to even sizes, which the codec needs.

    Args:
        frame: uint8 [height, width, 3].
    """
    import cv2  # noqa: PLC0415

    height, width = frame.shape[:2]
    factor = min(1.0, MAX_WIDTH_PX / width)
    size = [max(2, round(factor * length / 2) * 2) for length in (width, height)]
    if size == [width, height]:
        return frame
    shrunk: Any = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return shrunk  # type: ignore[no-any-return]


def _encode(frames: list[Frame], fps: float) -> bytes:
    from fractions import Fraction  # noqa: PLC0415

    import av  # noqa: PLC0415

    stream_bytes = io.BytesIO()
    with av.open(stream_bytes, "w", format="mp4") as container:
        rate = Fraction(fps).limit_denominator(1001)
        writer = Mp4Writer(container, "a clip of the page", rate, CRF)
        writer.write(frames)
        writer.finish()
    return stream_bytes.getvalue()


def _picture(frame: Frame) -> bytes:
    import cv2  # noqa: PLC0415

    options = [cv2.IMWRITE_WEBP_QUALITY, POSTER_QUALITY]
    done, data = cv2.imencode(".webp", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), options)
    assert done, "OpenCV's wheels are built with WebP"
    return data.tobytes()


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
