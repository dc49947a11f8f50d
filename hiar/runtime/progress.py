"""Progress with the time left, on stderr."""

from __future__ import annotations

import sys
import time
from typing import TextIO

LINE_EVERY_S = 10.0


def counted(number: int, noun: str) -> str:
    """A number with its noun, which takes an s unless the number is 1."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class Progress:
    """Counts finished units: one moving line on a terminal, else a line every ten seconds.

    Args:
        label: What is being done.
        stream: Where lines go; None shows nothing.
    """

    def __init__(self, label: str, stream: TextIO | None = sys.stderr) -> None:
        self._label, self._stream = label, stream
        self._total = self._done = 0
        self._started = self._shown = time.monotonic()

    def start(self, total: int) -> None:
        """Begin counting to `total`."""
        self._total, self._done = total, 0
        self._started = self._shown = time.monotonic()

    def advance(self, note: str = "") -> None:
        """One more unit is done; `note` is shown with the count."""
        self._done += 1
        now = time.monotonic()
        moving = self._stream is not None and self._stream.isatty()
        if now - self._shown > (0.2 if moving else LINE_EVERY_S):
            self._shown = now
            left_s = (now - self._started) / self._done * (self._total - self._done)
            count = f"{self._label}: {self._done}/{self._total}"
            self._write(f"{count}, {f'{note}, ' if note else ''}{left_s:.0f} s left", moving)

    def finish(self) -> None:
        """Say how long it took."""
        if self._total:
            moving = self._stream is not None and self._stream.isatty()
            elapsed_s = time.monotonic() - self._started
            self._write(f"{self._label}: {self._done} done in {elapsed_s:.1f} s", moving)
            if moving:
                self._write("\n", moving=False)

    def _write(self, text: str, moving: bool) -> None:
        if self._stream is not None:
            self._stream.write(f"\r\x1b[K{text}" if moving else text.rstrip("\n") + "\n")
            self._stream.flush()
