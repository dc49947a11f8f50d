"""One job to its end, on whatever machine this runs: reuse it, or run it, again if it may fail."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

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
from reports.run.process import StoppedError, run_process

MAX_BACKOFF_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended in this run.

    Attributes:
        status: reused, done, failed, blocked (a job that it needs failed, or something that it
            requires is missing here) or interrupted.
        reason: Why it failed or was blocked, in one line.
        tail: The last lines of its log, for a failed job.
    """

    job: Job
    status: str
    record: JobRecord | None = None
    reason: str = ""
    tail: str = ""

    @property
    def ok(self) -> bool:
        """Whether its outputs can be read."""
        return self.status in ("reused", DONE)


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where jobs run.

    Attributes:
        out: The reproduction folder, the same on every machine.
        places: What the placeholders in argv stand for.
        resume: Reuse done jobs; False runs all again.
        commit: Git commit of the running code.
    """

    out: Path
    places: Mapping[str, str]
    resume: bool = True
    commit: str | None = None

    @classmethod
    def here(cls, out: Path, places: Mapping[str, str], *, resume: bool = True) -> Workplace:
        """The workplace of the running code."""
        commit = collect_provenance()["git_commit"]
        return cls(out=out, places=places, resume=resume, commit=commit)


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What an executor wants to hear and say while a job runs."""

    environment: Mapping[str, str] | None = None
    tick: Callable[[float], None] | None = None
    stop: threading.Event | None = None


def reusable(job: Job, place: Workplace, needs: Mapping[str, str]) -> Outcome | None:
    """Returns the outcome of a job that is done already, None for one that must run."""
    record = read_record(place.out, job.name) if place.resume else None
    if record is not None and is_done(place.out, job, record, needs):
        return Outcome(job=job, status="reused", record=record)
    return None


def run_job(job: Job, place: Workplace, needs: Mapping[str, str], watch: Watch) -> Outcome:
    """Runs a job, and again after a failure as often as it allows.

    Args:
        job: A job that is not done.
        place: Where.
        needs: Digests of the needed jobs' outputs.
        watch: Environment, progress, stop.

    Returns:
        Its outcome; a full disk or a broken command is one, never an exception.
    """
    try:
        before = read_record(place.out, job.name)
        if not (place.resume and _cut_short(before, job, needs)):
            clear_outputs(place.out, job)
        for attempt in range(1, job.retries + 2):
            record = _attempt(job, place, needs, watch, attempt)
            if record.status != FAILED or attempt > job.retries:
                break
            pause_s = min(job.backoff_s * 2 ** (attempt - 1), MAX_BACKOFF_S)
            if (watch.stop or threading.Event()).wait(pause_s):
                record = replace(record, status=INTERRUPTED)
                write_record(place.out, record)
                break
        return _outcome(job, place.out, record)
    except (StorageError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in DISK_FULL:
            reason = f"{error.filename or place.out}: {error.strerror}"
        else:
            reason = "the disk is full; make room and give the same command again"
        return Outcome(job=job, status=FAILED, reason=reason, tail=log_tail(place.out, job.name))


def _outcome(job: Job, out: Path, record: JobRecord) -> Outcome:
    if record.status != FAILED:
        return Outcome(job=job, status=record.status, record=record)
    reason = f"exit code {record.exit_code}"
    if record.exit_code == 0:
        reason = f"exit code 0, but {_missing_proofs(job, out)[0]} was not written"
    if record.attempts > 1:
        reason += f", {record.attempts} times"
    return Outcome(
        job=job, status=FAILED, record=record, reason=reason, tail=log_tail(out, job.name)
    )


def _missing_proofs(job: Job, out: Path) -> list[str]:
    return [path for path in job.proofs if not (out / path).is_file()]


def clear_outputs(out: Path, job: Job) -> None:
    """Removes what an earlier attempt with other inputs left."""
    for path in (out / output for output in job.outputs):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _cut_short(record: JobRecord | None, job: Job, needs: Mapping[str, str]) -> bool:
    """Whether an earlier attempt had the same inputs: then the job itself knows how to go on."""
    if record is None or record.status == DONE:
        return False
    return record.id == job.id and dict(record.needs) == dict(needs)


def _attempt(
    job: Job, place: Workplace, needs: Mapping[str, str], watch: Watch, attempt: int
) -> JobRecord:
    out = place.out
    record = JobRecord(
        name=job.name,
        id=job.id,
        status=RUNNING,
        argv=job.argv,
        inputs=dict(job.inputs),
        needs=dict(needs),
        commit=place.commit,
        started=_now(),
        kind=job.kind,
        attempts=attempt,
    )
    write_record(out, record)
    start = time.monotonic()
    for path in job.outputs:
        (out / path).parent.mkdir(parents=True, exist_ok=True)
    try:
        exit_code = run_process(
            job.command(place.places),
            log_path(out, job.name),
            environment=watch.environment,
            append=attempt > 1,
            tick=watch.tick,
            stop=watch.stop,
        )
    except (StoppedError, KeyboardInterrupt) as error:
        record = replace(record, status=INTERRUPTED, finished=_now(), seconds=_since(start))
        write_record(out, record)
        if isinstance(error, KeyboardInterrupt):
            raise
        return record
    complete = exit_code == 0 and not _missing_proofs(job, out)
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


def _since(start: float) -> float:
    return round(time.monotonic() - start, 3)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
