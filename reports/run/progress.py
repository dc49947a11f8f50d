"""Progress over the whole job graph on stderr, with the time that is left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import TextIO

from reports.plan.jobs import Job, clock

TICK_S = 0.5


class Progress:
    """Counts jobs and estimates the time left.

    Each job has an estimate from the plan. It is corrected by how long jobs of the same kind and
    run took against their estimates; before one of them has run, by all jobs so far.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        stream: TextIO | None = None,
        *,
        slots: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts with no job done.

        Args:
            jobs: All jobs of the run.
            stream: Where progress is written; stderr by default.
            slots: Number of jobs that run at once.
            clock: Monotonic time in seconds.
        """
        self.stream = stream or sys.stderr
        self.slots = slots
        self.total = 0
        self._open: dict[str, Job] = {}
        # Expected seconds of open jobs, by kind and run.
        self._expected: dict[tuple[str, str], float] = {}
        # Measured and expected seconds of ended jobs, by kind and run.
        self._took: dict[tuple[str, str], tuple[float, float]] = {}
        self._running: dict[str, tuple[Job, float]] = {}
        self._clock = clock
        self._last_tick = 0.0
        for job in jobs:
            self.total += 1
            self._open[job.name] = job
            self._expected[_key(job)] = self._expected.get(_key(job), 0.0) + job.expected_s

    def left_s(self) -> float:
        """Estimates the seconds left until all jobs are done."""
        total = sum(expected * self._scale(key) for key, expected in self._expected.items())
        longest = 0.0
        for job, start in self._running.values():
            whole = job.expected_s * self._scale(_key(job))
            passed = min(self._clock() - start, whole)
            total -= passed
            longest = max(longest, whole - passed)
        return max(total / min(self.slots, max(1, len(self._open))), longest)

    def _scale(self, key: tuple[str, str]) -> float:
        """Returns measured over expected seconds, for jobs like these if one has ended."""
        pairs = [self._took[key]] if key in self._took else list(self._took.values())
        seconds, expected = (
            (sum(column) for column in zip(*pairs, strict=True)) if pairs else (1, 1)
        )
        return seconds / expected if expected else 1.0

    def start(self, job: Job) -> None:
        """Announces a job."""
        self._running[job.name] = job, self._clock()
        self._line(f"{job.name}: running, about {clock(self.left_s())} left in all")

    def tick(self) -> None:
        """Redraws the current line on a terminal; a log file gets no such lines."""
        now = self._clock()
        if not self.stream.isatty() or now - self._last_tick < TICK_S:
            return
        self._last_tick = now
        names = list(self._running)
        what = f"{names[0]}: {clock(now - self._running[names[0]][1])}" if names else "waiting"
        if len(names) > 1:
            what = f"{len(names)} jobs running, {what}"
        text = f"{self._count()} {what}, about {clock(self.left_s())} left in all"
        self.stream.write(f"\r{text[:118]}\x1b[K")
        self.stream.flush()

    def finish(self, job: Job, status: str, seconds: float | None = None) -> None:
        """Closes a job; `seconds` is what it took, now or before, None if it did not end well."""
        self._close(job, seconds)
        took = "" if seconds is None else f" in {clock(seconds)}"
        self._line(f"{job.name}: {status}{took}")

    def skip(self, jobs: Iterable[tuple[Job, float | None]], what: str) -> None:
        """Closes many jobs at once, in one line of output."""
        count = 0
        for job, seconds in jobs:
            count += 1
            self._close(job, seconds)
        if count:
            self._line(f"{count} {'job' if count == 1 else 'jobs'} {what}")

    def _close(self, job: Job, seconds: float | None) -> None:
        key = _key(job)
        if seconds is not None:
            before = self._took.get(key, (0.0, 0.0))
            self._took[key] = before[0] + seconds, before[1] + job.expected_s
        if self._open.pop(job.name, None) is not None:
            self._expected[key] -= job.expected_s
        self._running.pop(job.name, None)

    def _count(self) -> str:
        return f"[{self.total - len(self._open)}/{self.total}]"

    def _line(self, text: str) -> None:
        start = "\r\x1b[K" if self.stream.isatty() else ""
        self.stream.write(f"{start}{self._count()} {text}\n")
        self.stream.flush()


def _key(job: Job) -> tuple[str, str]:
    return job.kind, job.run if job.gpus else ""
