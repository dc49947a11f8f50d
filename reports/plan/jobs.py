"""A job, and graphs of jobs: their order, their ids, what a job needs. Pure, no files."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from drift.errors import UsageError

BENCH_NAME = "bench"
LONG = "long"
"""Folder of the longer videos of drift against length, and of their scores."""
LENGTHS_RECORD = "records/lengths.json"
CRASH_RETRIES = 2
"""Retries of a job on a GPU, which may fail through no fault of its own: memory that another user
takes, a driver that hangs, a lost mount."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One command and what it depends on.

    Attributes:
        name: Unique; names the record and the log.
        kind: sample, score or bench ...; with `run`, jobs of a kind take about the same time.
        argv: Command with `{python}`, `{out}`, `{packages}` and `{data}` in place of this machine's
            paths, so that an id does not depend on where a reproduction lies.
        outputs: Files or folders relative to the reproduction folder; a folder is the job's own.
        proofs: Files that must exist for the job to have succeeded.
        inputs: sha256 by file or package-source name.
        needs: Names of the jobs whose outputs this one reads.
        requires: What must be on the machine, such as `weights hiar` (`reports.plan.requirements`).
        run: Name of the run in the spec, empty where the job is of none.
        videos: How many it makes, for the plan.
        gpus: How many it takes.
        exclusive: Whether nothing else may run beside it on the machine: it measures time.
        retries: How often it is tried again after a failure, `backoff_s` later, then twice that.
        expected_s, disk_bytes: Rough duration and size, for the plan.
        id: sha256 over all that a result depends on, ids of needed jobs included.
    """

    name: str
    kind: str
    argv: tuple[str, ...]
    outputs: tuple[str, ...]
    proofs: tuple[str, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    run: str = ""
    videos: int = 0
    gpus: int = 0
    exclusive: bool = False
    retries: int = 0
    backoff_s: float = 30.0
    expected_s: float = 1.0
    disk_bytes: int = 0
    id: str = ""

    def command(self, places: Mapping[str, str]) -> list[str]:
        """Returns argv with this machine's paths filled in."""
        words = list(self.argv)
        for key, value in places.items():
            words = [word.replace(f"{{{key}}}", value) for word in words]
        return words


def flatten(options: Mapping[str, str]) -> Iterable[str]:
    """Turns options into words of a command: `--seed`, `0`, ..."""
    return chain.from_iterable(options.items())


def sample_name(run: str) -> str:
    """Names the job that samples a run, or begins the names of its jobs."""
    return f"sample-{run}"


def score_name(run: str) -> str:
    """Names the job that scores a run."""
    return f"score-{run}"


def proxies_name(run: str) -> str:
    """Names the job that measures a run's proxies of VBench."""
    return f"proxies-{run}"


def long_name(job: str) -> str:
    """Names the job that does the same for the longer videos."""
    return f"{LONG}-{job}"


def lengths_name(preset: str) -> str:
    """Names the job that sets drift against length."""
    return f"lengths-{preset}"


def with_ids(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Orders jobs so that each follows its needs, and gives each its id.

    Among the jobs that can run, the first one given comes first.

    Raises:
        UsageError: When a name is given twice, a need is unknown, or jobs need one another.
    """
    given = list(jobs)
    position = {job.name: index for index, job in enumerate(given)}
    if len(position) < len(given):
        names = [job.name for job in given]
        raise UsageError(f"job {next(n for n in names if names.count(n) > 1)!r} is given twice")
    waiting: dict[str, int] = {}
    readers: dict[str, list[int]] = {}
    for index, job in enumerate(given):
        for need in job.needs:
            if need not in position:
                raise UsageError(f"job {job.name!r} needs {need!r}, and there is no such job")
            readers.setdefault(need, []).append(index)
        waiting[job.name] = len(job.needs)
    ready = [index for index, job in enumerate(given) if not job.needs]
    ids: dict[str, str] = {}
    ordered: list[Job] = []
    inputs_text: dict[int, str] = {}
    while ready:
        job = given[heapq.heappop(ready)]
        ids[job.name] = _id(job, [ids[need] for need in job.needs], inputs_text)
        ordered.append(replace(job, id=ids[job.name]))
        for index in readers.get(job.name, ()):
            waiting[given[index].name] -= 1
            if not waiting[given[index].name]:
                heapq.heappush(ready, index)
    if len(ordered) < len(given):
        cycle = _find_cycle({job.name: job.needs for job in given if job.name not in ids})
        raise UsageError(f"jobs need one another: {' -> '.join(cycle)}; take one of the needs out")
    return tuple(ordered)


def _id(job: Job, need_ids: list[str], inputs_text: dict[int, str]) -> str:
    """Hashes what a result depends on; jobs share their mapping of inputs, so its text is kept."""
    text = inputs_text.get(id(job.inputs))
    if text is None:
        text = inputs_text[id(job.inputs)] = json.dumps(dict(job.inputs), sort_keys=True)
    parts = json.dumps([job.argv, job.needs, need_ids, job.outputs])
    return hashlib.sha256(f"{parts}\n{text}".encode()).hexdigest()


def _find_cycle(needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """One cycle of a graph in which every job waits for another of it."""
    path = [next(iter(needs))]
    while path[-1] not in path[:-1]:
        path.append(next(need for need in needs[path[-1]] if need in needs))
    return path[path.index(path[-1]) :]


def select_jobs(jobs: Iterable[Job], wanted: Iterable[str]) -> tuple[Job, ...]:
    """Keeps the wanted jobs and all that they need, in order."""
    ordered = list(jobs)
    keep = set(wanted)
    for job in reversed(ordered):
        if job.name in keep:
            keep.update(job.needs)
    return tuple(job for job in ordered if job.name in keep)


def clock(seconds: float) -> str:
    """Formats seconds as 8 s, 2 min 05 s, 3 h 20 min or 5 d 04 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24:02d} h"
