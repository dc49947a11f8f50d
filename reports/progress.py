"""Progress over the whole job graph on stderr, with the time that is left."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from statistics import fmean
from typing import TextIO

from reports.jobs import Job


class Progress:
    """Counts jobs and estimates the rest.

    A job that has not run takes as long as jobs of its kind took in this run; before any has, its
    rough expectation times how wrong the expectations have been so far.
    """

    def __init__(self, jobs: Iterable[Job], stream: TextIO | None = None) -> None:
        """Starts with every job open."""
        self.open = {job.name: job for job in jobs}
        self.total = len(self.open)
        self.stream = stream or sys.stderr
        self.seconds: dict[str, list[float]] = {}
        self.expected_s = 0.0
        self.current: Job | None = None

    def left_s(self, running_s: float = 0.0) -> float:
        """Estimates the seconds left, with the current job `running_s` old."""
        total = sum(self._estimate_s(job) for job in self.open.values())
        if self.current is not None:
            total -= min(running_s, self._estimate_s(self.current))
        return total

    def _estimate_s(self, job: Job) -> float:
        if job.kind in self.seconds:
            return fmean(self.seconds[job.kind])
        spent = sum(sum(times) for times in self.seconds.values())
        return job.expected_s * (spent / self.expected_s if self.expected_s else 1.0)

    def start(self, job: Job) -> None:
        """Announces a job."""
        self.current = job
        self._line(f"{job.name}: running, about {clock(self.left_s())} left in all")

    def tick(self, running_s: float) -> None:
        """Redraws the current line on a terminal; a log file gets no such lines."""
        if self.current is not None and self.stream.isatty():
            text = f"{self._count()} {self.current.name}: {clock(running_s)}, "
            self.stream.write(f"\r{text}about {clock(self.left_s(running_s))} left in all\x1b[K")
            self.stream.flush()

    def finish(self, job: Job, status: str, seconds: float | None = None) -> None:
        """Closes a job; `seconds` is what it took, now or before, None if it did not get there."""
        if seconds is not None:
            self.seconds.setdefault(job.kind, []).append(seconds)
            self.expected_s += job.expected_s
        self.open.pop(job.name, None)
        self.current = None
        took = "" if seconds is None else f" in {clock(seconds)}"
        self._line(f"{job.name}: {status}{took}")

    def _count(self) -> str:
        return f"[{self.total - len(self.open)}/{self.total}]"

    def _line(self, text: str) -> None:
        start = "\r\x1b[K" if self.stream.isatty() else ""
        self.stream.write(f"{start}{self._count()} {text}\n")
        self.stream.flush()


def clock(seconds: float) -> str:
    """Formats seconds as 8 s or 2 min 05 s."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"
