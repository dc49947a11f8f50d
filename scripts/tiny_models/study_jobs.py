"""The runs of a study as jobs: side by side, on GPUs of their own, each gone on with when cut."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hiar.cli.train import RECORD
from hiar.errors import UsageError
from reports.plan.jobs import Job
from reports.plan.paths import local_paths
from reports.run.execute import run_jobs
from reports.run.executors.local import THREADS, LocalExecutor
from reports.run.job_records import log_path

if TYPE_CHECKING:
    from tiny_models.study import StudyRun

STEP_S = 1.0
"""Seconds of a training step to begin an estimate with; finished runs correct it."""


def run_study_jobs(
    runs: Sequence[StudyRun],
    work: Path,
    *,
    jobs: int,
    threads: int = 1,
    gpus: tuple[str, ...] = (),
) -> None:
    """Run each as soon as the runs that it needs are done; progress goes to stderr.

    `reproduce-paper status WORK` says from elsewhere where they stand. A training that was cut
    short goes on from its checkpoint, since its own command does.

    Args:
        runs: Runs to start; a needed run that is not among them counts as done.
        work: Folder of the runs, of their logs and their records.
        jobs: Runs at a time.
        threads: Threads of each run.
        gpus: Ids of the GPUs, one a run; empty for runs on the CPU.

    Raises:
        UsageError: A run failed, after all that do not need it are done; names the run and its
            log, with the last lines.
    """
    names = {run.name for run in runs}
    graph = tuple(_job(run, names, on_gpu=bool(gpus)) for run in runs)
    run_all(graph, work, jobs=jobs, threads=threads, gpus=gpus)


def run_all(
    graph: tuple[Job, ...], work: Path, *, jobs: int, threads: int = 1, gpus: tuple[str, ...] = ()
) -> None:
    """Run a graph of jobs to its end; the arguments and errors are those of `run_study_jobs`."""
    if jobs < 1 or threads < 1:
        raise UsageError(f"jobs {jobs} and threads {threads} must be at least 1")
    os.environ[THREADS] = str(threads)
    outcomes = run_jobs(
        graph,
        work,
        local_paths(work),
        resume=False,  # whether a job is done is for its own settings and inputs to say
        executor=LocalExecutor(jobs=jobs, gpus=gpus),
    )
    failed = [outcome for outcome in outcomes.values() if outcome.status == "failed"]
    if failed:
        raise UsageError(
            "; ".join(
                f"{outcome.job.name} failed ({outcome.reason}); "
                f"{log_path(work, outcome.job.name)} ends with: {outcome.tail or 'nothing'}"
                for outcome in failed
            )
        )


def _job(run: StudyRun, names: set[str], *, on_gpu: bool) -> Job:
    record = () if run.config is None else (f"{run.name}/{RECORD}",)
    return Job(
        name=run.name,
        kind="train" if run.steps else "trajectories",
        argv=("{python}", "-m", "hiar", *run.argv),
        outputs=(),  # a folder is its run's own: what is in it may be gone on with
        required_outputs=record,
        dependencies=tuple(need for need in run.needs if need in names),
        gpus=int(on_gpu),
        expected_s=STEP_S * max(run.steps, 1),
    )
