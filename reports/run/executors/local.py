"""Runs jobs on this machine: a number of them at once, each with GPUs of its own."""

from __future__ import annotations

import heapq
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter

from reports.plan.jobs import Job
from reports.run.attempt import Outcome, RunContext, Watch, reusable, run_job
from reports.run.executors import blocked_by, dependency_digests
from reports.run.progress import Progress

TICK_S = 0.5
THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True, kw_only=True)
class LocalExecutor:
    """A pool of processes on one machine.

    Attributes:
        jobs: Number of jobs that run at once.
        gpus: Ids of the GPUs to use, as CUDA_VISIBLE_DEVICES takes them; jobs never share a GPU.
    """

    jobs: int = 1
    gpus: tuple[str, ...] = ()

    @property
    def slots(self) -> int:
        """Number of jobs that may run at once."""
        return self.jobs

    def missing_resources(self, job: Job) -> str:
        """Says that a job takes more GPUs than there are."""
        if job.gpus <= len(self.gpus):
            return ""
        plural = "s" if job.gpus > 1 else ""
        return f"needs {job.gpus} GPU{plural}, and {len(self.gpus) or 'none'} is here (--gpus)"

    def run(
        self,
        jobs: Sequence[Job],
        finished: Mapping[str, Outcome],
        context: RunContext,
        progress: Progress,
    ) -> Iterator[Outcome]:
        """Implements `Executor.run`."""
        outcomes = dict(finished)
        queue = Queue(jobs)
        running: dict[Future[Outcome], tuple[Job, tuple[str, ...]]] = {}
        free = list(self.gpus)
        with _pool(self.jobs) as (pool, stop):
            while queue or running:
                while job := queue.take(self.jobs - len(running), len(free), bool(running)):
                    early = blocked_by(job, outcomes)
                    digests = {} if early else dependency_digests(job, outcomes)
                    early = early or reusable(job, context, digests)
                    if early is not None:
                        yield self._finish(early, outcomes, queue)
                        continue
                    mine = tuple(free.pop(0) for _ in range(job.gpus))
                    watch = Watch(environment=self._environment(job, mine), stop=stop)
                    progress.start(job)
                    running[pool.submit(run_job, job, context, digests, watch)] = job, mine
                    queue.hold(job)
                ended, _ = wait(running, timeout=TICK_S, return_when=FIRST_COMPLETED)
                progress.tick()
                for future in ended:
                    job, mine = running.pop(future)
                    free.extend(mine)
                    queue.release(job)
                    yield self._finish(future.result(), outcomes, queue)

    def _environment(self, job: Job, mine: tuple[str, ...]) -> dict[str, str]:
        """Gives a job its GPUs, or its share of the cores where CPU jobs run side by side."""
        if self.gpus:
            return {"CUDA_VISIBLE_DEVICES": ",".join(mine)}
        if self.jobs == 1 or job.exclusive or THREADS in os.environ:
            return {}
        return {THREADS: str(max(1, (os.cpu_count() or 1) // self.jobs))}

    @staticmethod
    def _finish(outcome: Outcome, outcomes: dict[str, Outcome], queue: Queue) -> Outcome:
        outcomes[outcome.job.name] = outcome
        queue.finish(outcome.job)
        return outcome


@contextmanager
def _pool(size: int) -> Iterator[tuple[ThreadPoolExecutor, threading.Event]]:
    """Makes threads that each wait for one process; an error or Ctrl-C ends the processes first."""
    stop = threading.Event()
    with ThreadPoolExecutor(size) as pool:
        try:
            yield pool, stop
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


class Queue:
    """Holds jobs that wait for others, and jobs that are ready, sorted by what they take."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        """Takes the jobs in order; a dependency that is not among them has finished already."""
        self._order = {job.name: index for index, job in enumerate(jobs)}
        self._jobs = list(jobs)
        self._sorter = TopologicalSorter(
            {job.name: [n for n in job.dependencies if n in self._order] for job in jobs}
        )
        self._sorter.prepare()
        self._ready: dict[tuple[bool, int], list[int]] = {}
        self._num_ready = 0
        self._exclusive = False
        self._push_ready()

    def __bool__(self) -> bool:
        return self._num_ready > 0

    def _push_ready(self) -> None:
        for name in self._sorter.get_ready():
            job = self._jobs[self._order[name]]
            heap = self._ready.setdefault((job.exclusive, job.gpus), [])
            heapq.heappush(heap, self._order[name])
            self._num_ready += 1

    def take(self, slots: int, gpus: int, busy: bool) -> Job | None:
        """Takes the first ready job that fits; an exclusive one only while no other runs.

        Args:
            slots: Number of jobs that may still start.
            gpus: Number of free GPUs.
            busy: Whether a job runs now.
        """
        if slots < 1 or self._exclusive:
            return None
        fitting = [
            (exclusive, heap[0], heap)
            for (exclusive, need), heap in self._ready.items()
            if heap and need <= gpus and not (exclusive and busy)
        ]
        if not fitting:
            return None
        _, _, heap = min(fitting, key=lambda entry: entry[:2])
        self._num_ready -= 1
        return self._jobs[heapq.heappop(heap)]

    def hold(self, job: Job) -> None:
        """Notes that a job runs."""
        self._exclusive = job.exclusive

    def release(self, job: Job) -> None:
        """Notes that a job has ended."""
        self._exclusive = self._exclusive and not job.exclusive

    def finish(self, job: Job) -> None:
        """Notes that the outcome of a job is known: jobs that waited for it may be ready."""
        self._sorter.done(job.name)
        self._push_ready()
