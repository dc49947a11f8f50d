"""A job and graphs of jobs: their order, their ids, what depends on what. Touches no files."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from itertools import chain

from drift.errors import UsageError

BENCH_NAME = "bench"
LONG = "long"
"""Folder of the longer videos for drift against length, and of their scores."""
LENGTHS_RECORD = "records/lengths.json"
CRASH_RETRIES = 2
"""Retries of a job on a GPU, which may fail through no fault of its own: memory that another user
takes, a driver that hangs, a lost mount."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One command, what it depends on and what it makes.

    Attributes:
        name: Unique name, also of the job's record and log.
        kind: sample, score, bench ...; jobs of one kind and `run` take about the same time.
        argv: Command with `{python}`, `{out}`, `{packages}` and `{data}` in place of this machine's
            paths, so that an id does not depend on where a reproduction lies.
        outputs: Files or folders relative to the reproduction folder; a folder is the job's own.
        required_outputs: Files that must exist for the job to have succeeded.
        inputs: sha256 by file or package-source name.
        dependencies: Names of the jobs whose outputs this one reads.
        requires: What must be on the machine, such as `weights hiar` (`reports.plan.requirements`).
        run: Name of the run in the spec; empty where the job belongs to none.
        videos: Number of videos that the job makes, for the plan.
        gpus: Number of GPUs that the job takes.
        exclusive: Whether nothing else may run on the machine beside the job: it measures time.
        retries: How often the job is tried again after a failure.
        backoff_s: Pause before the first retry; it doubles from one retry to the next.
        expected_s: Estimated duration, for the plan.
        disk_bytes: Estimated size of the outputs, for the plan.
        id: sha256 over everything that the result depends on, ids of the dependencies included.
    """

    name: str
    kind: str
    argv: tuple[str, ...]
    outputs: tuple[str, ...]
    required_outputs: tuple[str, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
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

    def command(self, paths: Mapping[str, str]) -> list[str]:
        """Returns argv with this machine's paths filled in."""
        words = list(self.argv)
        for key, value in paths.items():
            words = [word.replace(f"{{{key}}}", value) for word in words]
        return words


def flatten(options: Mapping[str, str]) -> Iterable[str]:
    """Turns options into words of a command: `--seed`, `0`, ..."""
    return chain.from_iterable(options.items())


def sample_name(run: str) -> str:
    """Names the job that samples a run; where there are several, their names begin with this."""
    return f"sample-{run}"


def score_name(run: str) -> str:
    """Names the job that scores a run."""
    return f"score-{run}"


def proxies_name(run: str) -> str:
    """Names the job that measures a run's proxies of VBench."""
    return f"proxies-{run}"


def long_name(job: str) -> str:
    """Names the job that does the same as `job` for the longer videos."""
    return f"{LONG}-{job}"


def lengths_name(preset: str) -> str:
    """Names the job that measures drift against length."""
    return f"lengths-{preset}"


def with_ids(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Orders jobs so that each follows its dependencies, and gives each its id.

    Among the jobs that can run, the first one given comes first.

    Raises:
        UsageError: A name is given twice, a dependency is unknown, or jobs depend on one another.
    """
    given = list(jobs)
    position = {job.name: index for index, job in enumerate(given)}
    if len(position) < len(given):
        names = [job.name for job in given]
        raise UsageError(f"job {next(n for n in names if names.count(n) > 1)!r} is given twice")
    for job in given:
        for need in job.dependencies:
            if need not in position:
                raise UsageError(f"job {job.name!r} needs {need!r}, and there is no such job")
    sorter = TopologicalSorter({job.name: job.dependencies for job in given})
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        raise UsageError(f"jobs need one another: {cycle}; take one of the needs out") from None
    ready: list[int] = []
    ids: dict[str, str] = {}
    ordered: list[Job] = []
    inputs_text: dict[int, str] = {}
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, position[name])
        job = given[heapq.heappop(ready)]
        ids[job.name] = _id(job, [ids[need] for need in job.dependencies], inputs_text)
        ordered.append(replace(job, id=ids[job.name]))
        sorter.done(job.name)
    return tuple(ordered)


def _id(job: Job, need_ids: list[str], inputs_text: dict[int, str]) -> str:
    """Hashes what a result depends on.

    Jobs share their mappings of inputs, so the JSON text of each mapping is made once.
    """
    text = inputs_text.get(id(job.inputs))
    if text is None:
        text = inputs_text[id(job.inputs)] = json.dumps(dict(job.inputs), sort_keys=True)
    parts = json.dumps([job.argv, job.dependencies, need_ids, job.outputs])
    return hashlib.sha256(f"{parts}\n{text}".encode()).hexdigest()


def select_jobs(jobs: Iterable[Job], wanted: Iterable[str]) -> tuple[Job, ...]:
    """Keeps the wanted jobs and everything that they depend on, in order."""
    ordered = list(jobs)
    keep = set(wanted)
    for job in reversed(ordered):
        if job.name in keep:
            keep.update(job.dependencies)
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
