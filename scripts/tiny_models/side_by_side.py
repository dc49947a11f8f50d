"""Runs of the `hiar` command side by side, each in a process of its own, with the time left."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hiar.errors import UsageError
from hiar.training.run.monitor import LOG, read_lines

if TYPE_CHECKING:
    from tiny_models.study import StudyRun

POLL_S = 0.5
LINE_EVERY_S = 60.0
LAST_LINES = 6
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run_side_by_side(
    runs: Sequence[StudyRun],
    logs: Path,
    *,
    jobs: int,
    threads: int = 1,
    stream: TextIO | None = sys.stderr,
) -> None:
    """Run each as soon as the runs that it needs are done, at most `jobs` at a time.

    Args:
        runs: Runs to start; a needed run that is not among them counts as done.
        logs: Folder with one log for each run.
        jobs: Processes at a time.
        threads: Threads of each process.
        stream: Stream of progress, a line a minute; None shows nothing.

    Raises:
        UsageError: If a run failed, after all that do not need it are done; names the run, its log
            and the log's last lines.
    """
    if jobs < 1 or threads < 1:
        raise UsageError(f"jobs {jobs} and threads {threads} must be at least 1")
    waiting, done, failed = list(runs), set[str](), set[str]()
    began = last_line = time.monotonic()
    with _ended_at_last() as processes:
        while True:
            blocked = {run.name for run in waiting} | processes.keys() | failed
            ready = [run for run in waiting if not blocked & set(run.needs)]
            if not ready and not processes:
                break  # all are done, or need one that failed
            for run in ready[: jobs - len(processes)]:
                processes[run.name] = _start(run, logs, threads)
                waiting.remove(run)
                _say(stream, f"{run.name}: started")
            time.sleep(POLL_S)
            for name in [name for name, process in processes.items() if process.poll() is not None]:
                ended = failed if processes.pop(name).returncode else done
                ended.add(name)
                _say(stream, f"{name}: {'failed' if name in failed else 'done'}")
            if time.monotonic() - last_line > LINE_EVERY_S:
                last_line = time.monotonic()
                _say(stream, progress_line(runs, done, processes.keys(), last_line - began, jobs))
    if failed:
        raise UsageError("; ".join(_failure(name, logs) for name in sorted(failed)))


def progress_line(
    runs: Sequence[StudyRun], done: Set[str], active: Set[str], elapsed_s: float, jobs: int
) -> str:
    """Says where each active run stands, and when all will be done."""
    running = [run for run in runs if run.name in active]
    places = [f"{run.name} {last_logged_step(run.out)}/{run.steps}" for run in running if run.steps]
    left = seconds_left(runs, done, jobs)
    eta = "" if left is None else f"; about {left / 60:.0f} min left"
    return f"{elapsed_s / 60:.0f} min: {', '.join(places) or 'trajectories'}{eta}"


def seconds_left(runs: Sequence[StudyRun], done: Set[str], jobs: int) -> float | None:
    """Estimates the rest from the steps logged so far; None before the first.

    A run that has logged nothing takes a step as long as the mean of the others.
    """
    left = [run for run in runs if run.steps and run.name not in done]
    logs = {run.name: _log(run.out) for run in runs if run.steps}
    means = {
        name: sum(line["seconds"] for line in lines) / len(lines)
        for name, lines in logs.items()
        if lines
    }
    if not means:
        return None
    usual = sum(means.values()) / len(means)
    todo = [(run.steps - last_logged_step(run.out)) * means.get(run.name, usual) for run in left]
    return max([sum(todo) / jobs, *todo], default=0.0)


def last_logged_step(out: Path) -> int:
    """Steps that a run's log holds; 0 without one."""
    lines = _log(out)
    return int(lines[-1]["step"]) + 1 if lines else 0


def _log(out: Path) -> list[dict[str, float]]:
    return read_lines(out / LOG) if (out / LOG).exists() else []


def _start(run: StudyRun, logs: Path, threads: int) -> subprocess.Popen[bytes]:
    logs.mkdir(parents=True, exist_ok=True)
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
    with (logs / f"{run.name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "hiar", *run.argv],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
        )  # fmt: skip


@contextmanager
def _ended_at_last() -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Processes by name; those still running at the end, or at an error, are ended."""
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        yield processes
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait()


def _failure(name: str, logs: Path) -> str:
    log = logs / f"{name}.log"
    last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
    return f"{name} failed; {log} ends with: {' | '.join(last) or 'nothing'}"


def _say(stream: TextIO | None, line: str) -> None:
    if stream is not None:
        stream.write(line + "\n")
        stream.flush()
