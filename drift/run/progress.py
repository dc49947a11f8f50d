"""Progress with the time left: a line a video, or one line that is rewritten on a terminal."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from drift.video.discover import printable


class Progress:
    """Counts finished videos.

    Args:
        total: Number of videos.
        stream: File to write to; None shows nothing.
    """

    def __init__(self, total: int, stream: TextIO | None = sys.stderr) -> None:
        self._total, self._stream = total, stream
        self._done = 0
        self._start = time.monotonic()

    def step(self, text: str) -> None:
        """Counts one more finished video and shows `text` about it."""
        self._done += 1
        if self._stream is None:
            return
        elapsed_s = time.monotonic() - self._start
        left_s = elapsed_s / self._done * (self._total - self._done)
        line = f"[{self._done}/{self._total}] {text}, {_clock(left_s)} left"
        if self._stream.isatty():
            self._stream.write(f"\r\x1b[K{line[:118]}")
            self._stream.write("\n" * (self._done == self._total))
        else:
            self._stream.write(line + "\n")
        self._stream.flush()


def video_counter() -> Callable[[str, int], None]:
    """A function that shows each finished video on stderr, given its name and the number of all."""
    shown: list[Progress] = []

    def on_video(name: str, num_videos: int) -> None:
        if not shown:
            shown.append(Progress(num_videos, sys.stderr))
        shown[0].step(printable(name))

    return on_video


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
