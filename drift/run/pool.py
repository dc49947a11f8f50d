"""Runs measuring tasks here or in worker processes; results come back as they finish.

Workers only compute: the parent alone writes files, so ending a worker leaves nothing half-written.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import cv2

from drift.errors import WorkerError
from drift.run.measure import Measured, Task, measure
from drift.run.plan import Plan

T = TypeVar("T")
R = TypeVar("R")
NETWORKS_BYTES = 3 * 2**30  # four networks and their features for one batch, generously


def num_cpus() -> int:
    """Number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_workers(plan: Plan, processes: int = 1) -> int:
    """Worker processes for a plan.

    Args:
        plan: What is measured.
        processes: How many such pools share this machine.

    Returns:
        One a CPU; with networks on the CPU no more than fit into memory, on a GPU one.
    """
    cpus = max(1, num_cpus() // processes)
    if not plan.learned:
        return cpus
    if plan.settings.device_kind != "cpu":
        return 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // processes
    return max(1, min(cpus, memory // NETWORKS_BYTES))


def measure_all(tasks: Sequence[Task], workers: int, processes: int = 1) -> Iterator[Measured]:
    """Measures every task; see `in_workers`."""
    return in_workers(measure, tasks, workers, processes)


def in_workers(
    work: Callable[[T], R], tasks: Sequence[T], workers: int, processes: int = 1
) -> Iterator[R]:
    """Does some work on every task.

    Args:
        work: A function that worker processes can import.
        tasks: What to work on.
        workers: Processes, >= 1; with one, or one task, everything runs in this process.
        processes: How many such pools share this machine.

    Yields:
        Results in the order in which they finish.

    Raises:
        WorkerError: a worker process ended abruptly.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from map(work, tasks)
        return
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(max(1, num_cpus() // (workers * processes)),),
    )
    finished = False
    try:
        for future in as_completed([executor.submit(work, task) for task in tasks]):
            yield future.result()
        finished = True
    except BrokenProcessPool as error:
        raise WorkerError(
            "a worker process died; --workers 1 (workers=1) shows at which video. From a script, "
            "more than one worker needs the `if __name__ == '__main__':` guard"
        ) from error
    finally:
        executor.shutdown(wait=finished, cancel_futures=True)
        if not finished:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()


def _start_worker(threads: int) -> None:
    """Ctrl-C ends a worker at once and without a traceback; workers share the cores."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # torch reads it when it is imported
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for its next task for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
