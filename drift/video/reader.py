"""What all readers of videos do alike: sampling by time, one size for all frames, lengths."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.video.media import BrokenVideoError, MediaInfo
from drift.video.resample import nearest_in_time

MAX_GAP_S = 60.0  # longest gap that sampling by time fills by repeating the frame before it
UNEVEN = 1.5  # a video whose longest frame is this many shortest ones has a variable frame rate


class VideoReader(ABC):
    """An open video, whose frames can be read once, in order."""

    def __init__(self) -> None:
        self._decoded = 0
        self._given = 0
        self._start_s = self._end_s = 0.0
        self._gaps: list[float] = []  # shortest and longest time between two consecutive frames
        self._shape: tuple[int, ...] = ()

    @property
    @abstractmethod
    def info(self) -> MediaInfo:
        """How the video is stored, with the number of frames yielded so far."""

    @abstractmethod
    def _timed_frames(self) -> Iterator[tuple[Fraction, Any]]:
        """Yields each frame, as the reader stores it, with its time in seconds."""

    @abstractmethod
    def _rgb(self, frame: Any) -> NDArray[np.uint8]:
        """Turns a frame into uint8 (H, W, 3) RGB."""

    @abstractmethod
    def _check_complete(self) -> None:
        """Raises BrokenVideoError after the last frame if the video should have more."""

    def frames(self, rate: Fraction | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yields every frame, or the nearest in time to each 1/rate s, as uint8 (H, W, 3) RGB.

        Args:
            rate: Frames a second to sample at; None yields every frame once.

        Raises:
            BrokenVideoError: after the last good frame, if the file declares more; at a frame of
                another size than those before; with `rate`, at a jump in time.
        """
        timed = self._timed_frames()
        every = (frame for _, frame in timed)
        for frame in nearest_in_time(self._without_jumps(timed), rate) if rate else every:
            rgb = self._rgb(frame)
            self._check_shape(rgb.shape)
            self._given += 1
            yield rgb
        self._check_complete()

    @property
    def _duration_s(self) -> float:
        return round(max(0.0, self._end_s - self._start_s), 6)

    @property
    def _is_uneven(self) -> bool:
        return bool(self._gaps) and self._gaps[1] > UNEVEN * self._gaps[0]

    def _note_time(self, time: Fraction, length: Fraction, before: Fraction | None) -> None:
        """Keeps what `info` tells about times.

        Args:
            time: When the frame begins, in seconds.
            length: How long it is shown.
            before: When the frame before it began; None for the first one.
        """
        if before is None:
            self._start_s = float(time)
        elif time > before:
            gap = float(time - before)
            low, high = self._gaps or (gap, gap)
            self._gaps = [min(low, gap), max(high, gap)]
        self._end_s = max(self._end_s, float(time + length))

    def _without_jumps(
        self, timed: Iterator[tuple[Fraction, Any]]
    ) -> Iterator[tuple[Fraction, Any]]:
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

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        self._shape = self._shape or shape
        if shape != self._shape:
            (height, width), (new_height, new_width) = self._shape[:2], shape[:2]
            raise BrokenVideoError(
                "unreadable",
                f"frames change from {width}x{height} to {new_width}x{new_height} after "
                f"{self._given} frames; values of different sizes cannot be compared",
            )
