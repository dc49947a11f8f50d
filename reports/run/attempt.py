"""Takes one job to its end on the machine where this runs: reuses it, or runs it with retries."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from drift.child_process import ChildProcess, StoppedError
from drift.errors import StorageError
from drift.files import DISK_FULL
from drift.provenance import collect_provenance
from reports.plan.jobs import Job
from reports.run.job_records import (
    DONE,
    FAILED,
    INTERRUPTED,
    RUNNING,
    JobRecord,
    describe_file,
    is_done,
    log_path,
    log_tail,
    output_files,
    read_record,
    write_record,
)

POLL_S = 0.5
MAX_BACKOFF_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended in this run.

    Attributes:
        status: reused, done, failed, blocked (a dependency failed, or something that the job
            requires is missing here) or interrupted.
        reason: Why the job failed or was blocked, in one line.
        tail: Last lines of the log of a failed job.
    """

    job: Job
    status: str
    record: JobRecord | None = None
    reason: str = ""
    tail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the outputs can be read."""
        return self.status in ("reused", DONE)


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Folder and paths that all jobs of a run share.

    Attributes:
        out: The reproduction folder, the same on every machine.
        paths: What the placeholders in argv stand for.
        resume: Whether done jobs are reused; False runs all again.
        commit: Git commit of the running code.
    """

    out: Path
    paths: Mapping[str, str]
    resume: bool = True
    commit: str | None = None

    @classmethod
    def here(cls, out: Path, paths: Mapping[str, str], *, resume: bool = True) -> RunContext:
        """Makes the context of the running code."""
        commit = collect_provenance()["git_commit"]
        return cls(out=out, paths=paths, resume=resume, commit=commit)


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How an executor follows a running job.

    Attributes:
        environment: Variables of the job besides our own.
        tick: Called twice a second with the seconds so far.
        stop: When set, the job is ended.
    """

    environment: Mapping[str, str] | None = None
    tick: Callable[[float], None] | None = None
    stop: threading.Event | None = None


def reusable(job: Job, context: RunContext, digests: Mapping[str, str]) -> Outcome | None:
    """Returns the outcome of a job that is done already, None for one that must run."""
    record = read_record(context.out, job.name) if context.resume else None
    if record is not None and is_done(context.out, job, record, digests):
        return Outcome(job=job, status="reused", record=record)
    return None


def run_job(job: Job, context: RunContext, digests: Mapping[str, str], watch: Watch) -> Outcome:
    """Runs a job, and again after a failure as often as it allows.

    Args:
        job: A job that is not done.
        context: Folder and paths that the job runs with.
        digests: Digests of the outputs of the jobs that it depends on.
        watch: How the executor follows the job.

    Returns:
        The outcome. A full disk or a broken command gives a failed one, never an exception.
    """
    try:
        before = read_record(context.out, job.name)
        if not (context.resume and _cut_short(before, job, digests)):
            clear_outputs(context.out, job)
        for attempt in range(1, job.retries + 2):
            record = _attempt(job, context, digests, watch, attempt)
            if record.status != FAILED or attempt > job.retries:
                break
            pause_s = min(job.backoff_s * 2 ** (attempt - 1), MAX_BACKOFF_S)
            if (watch.stop or threading.Event()).wait(pause_s):
                record = replace(record, status=INTERRUPTED)
                write_record(context.out, record)
                break
        return _outcome(job, context.out, record)
    except (StorageError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in DISK_FULL:
            reason = f"{error.filename or context.out}: {error.strerror}"
        else:
            reason = "the disk is full; make room and give the same command again"
        return Outcome(job=job, status=FAILED, reason=reason, tail=log_tail(context.out, job.name))


def _outcome(job: Job, out: Path, record: JobRecord) -> Outcome:
    if record.status != FAILED:
        return Outcome(job=job, status=record.status, record=record)
    reason = f"exit code {record.exit_code}"
    if record.exit_code == 0:
        reason = f"exit code 0, but {_missing_outputs(job, out)[0]} was not written"
    if record.attempts > 1:
        reason += f", {record.attempts} times"
    return Outcome(
        job=job, status=FAILED, record=record, reason=reason, tail=log_tail(out, job.name)
    )


def _missing_outputs(job: Job, out: Path) -> list[str]:
    return [path for path in job.required_outputs if not (out / path).is_file()]


def clear_outputs(out: Path, job: Job) -> None:
    """Removes the outputs that an earlier attempt with other inputs left."""
    for path in (out / output for output in job.outputs):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _cut_short(record: JobRecord | None, job: Job, digests: Mapping[str, str]) -> bool:
    """Whether an attempt with the same inputs was cut short; the job then resumes by itself."""
    if record is None or record.status == DONE:
        return False
    return record.id == job.id and dict(record.needs) == dict(digests)


def _attempt(
    job: Job, context: RunContext, digests: Mapping[str, str], watch: Watch, attempt: int
) -> JobRecord:
    out = context.out
    record = JobRecord(
        name=job.name,
        id=job.id,
        status=RUNNING,
        argv=job.argv,
        inputs=dict(job.inputs),
        needs=dict(digests),
        commit=context.commit,
        started=_now(),
        kind=job.kind,
        attempts=attempt,
    )
    write_record(out, record)
    start = time.monotonic()
    for path in job.outputs:
        (out / path).parent.mkdir(parents=True, exist_ok=True)
    try:
        exit_code = _run_logged(
            job.command(context.paths), log_path(out, job.name), watch, append=attempt > 1
        )
    except (StoppedError, KeyboardInterrupt) as error:
        record = replace(record, status=INTERRUPTED, finished=_now(), seconds=_since(start))
        write_record(out, record)
        if isinstance(error, KeyboardInterrupt):
            raise
        return record
    complete = exit_code == 0 and not _missing_outputs(job, out)
    files = output_files(out, job.outputs) if complete else {}
    record = replace(
        record,
        status=DONE if complete else FAILED,
        finished=_now(),
        seconds=_since(start),
        exit_code=exit_code,
        outputs={name: describe_file(path) for name, path in files.items()},
    )
    write_record(out, record)
    return record


def _run_logged(argv: Sequence[str], log: Path, watch: Watch, *, append: bool) -> int | None:
    """Run a command to its end, its output in a log; returns its exit code."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(watch.environment or {})}
    with (
        log.open("ab" if append else "wb") as output,
        ChildProcess(argv, output, environment) as process,
    ):
        return process.wait(POLL_S, stop=watch.stop, tick=watch.tick)


def _since(start: float) -> float:
    return round(time.monotonic() - start, 3)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
