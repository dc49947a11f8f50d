"""Runs tasks side by side in a few processes; a report spends nearly all its time on pictures."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")

MAX_PROCESSES = 4
"""A report has about ten pictures and a process takes a second to start: more would not help."""


def run_side_by_side(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Runs tasks that share nothing, each in a fresh interpreter.

    Args:
        tasks: Picklable functions, such as `functools.partial` of module-level ones.

    Returns:
        Their results in order; the first error is raised once all have ended.
    """
    processes = min(len(tasks), os.cpu_count() or 1, MAX_PROCESSES)
    if processes < 2:
        return [task() for task in tasks]
    # Ctrl-C reaches the whole process group. Only the parent answers it and drops waiting tasks.
    quiet = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=quiet) as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
