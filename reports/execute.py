"""The local executor: one job at a time, resumable, and nothing left behind on Ctrl-C."""

from __future__ import annotations

import fcntl
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from drift.errors import UsageError
from drift.provenance import collect_provenance
from reports.job_records import (
    JobRecord,
    is_done,
    log_path,
    log_tail,
    need_digests,
    read_record,
    write_record,
)
from reports.jobs import Job
from reports.process import run_process
from reports.progress import Progress
from reports.sources import hash_outputs


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended in this run.

    Attributes:
        status: reused, done, failed or blocked (a job that it needs failed).
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
        return self.status in ("reused", "done")


def run_jobs(
    jobs: tuple[Job, ...],
    out: Path,
    places: Mapping[str, str],
    *,
    resume: bool = True,
    progress: Progress | None = None,
) -> dict[str, Outcome]:
    """Runs what is not done.

    Args:
        jobs: In an order in which they can run.
        out: The reproduction folder; made if need be.
        places: What `{python}`, `{out}` and `{packages}` in argv stand for.
        resume: Reuse done jobs; False runs all again.
        progress: Where progress goes.

    Returns:
        The outcome by job name. A failure never stops a job that does not need it.

    Raises:
        UsageError: When another process works in `out`, or a file in it is in the way.
        KeyboardInterrupt: After the running job was stopped.
    """
    progress = progress or Progress(jobs)
    outcomes: dict[str, Outcome] = {}
    with _locked(out):
        _refuse_foreign(out, jobs)
        for job in jobs:
            outcomes[job.name] = _run_one(
                job, out, places, outcomes, resume=resume, progress=progress
            )
    return outcomes


def _run_one(
    job: Job,
    out: Path,
    places: Mapping[str, str],
    outcomes: Mapping[str, Outcome],
    *,
    resume: bool,
    progress: Progress,
) -> Outcome:
    failed = [need for need in job.needs if not outcomes[need].ok]
    if failed:
        progress.finish(job, f"not run, {failed[0]} failed")
        return Outcome(job=job, status="blocked", reason=f"{failed[0]} failed")
    records = {name: outcome.record for name, outcome in outcomes.items()}
    needs = need_digests(job, {name: r for name, r in records.items() if r is not None})
    record = read_record(out, job.name)
    if resume and record is not None and is_done(out, job, record, needs):
        progress.finish(job, "done before", record.seconds)
        return Outcome(job=job, status="reused", record=record)
    if not (resume and _cut_short(record, job, needs)):
        _clear(out, job)
    progress.start(job)
    new = _attempt(job, out, places, needs, progress)
    progress.finish(job, new.status, new.seconds if new.status == "done" else None)
    if new.status == "done":
        return Outcome(job=job, status="done", record=new)
    reason = f"exit code {new.exit_code}"
    if new.exit_code == 0:
        missing = [path for path in job.proofs if not (out / path).is_file()]
        reason = f"exit code 0, but {missing[0]} was not written"
    return Outcome(
        job=job, status="failed", record=new, reason=reason, tail=log_tail(out, job.name)
    )


def _refuse_foreign(out: Path, jobs: tuple[Job, ...]) -> None:
    """Stops before anything runs if an output is there that no record of ours accounts for."""
    for job in jobs:
        there = [out / path for path in job.outputs if (out / path).exists()]
        if there and read_record(out, job.name) is None:
            raise UsageError(
                f"{there[0]} is there, but no record says what made it; move it away or choose "
                "another --out"
            )


def _clear(out: Path, job: Job) -> None:
    """Removes what an earlier attempt with other inputs left."""
    for path in (out / output for output in job.outputs):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _cut_short(record: JobRecord | None, job: Job, needs: Mapping[str, str]) -> bool:
    """Whether an earlier attempt had the same inputs: then the job itself knows how to go on."""
    if record is None or record.status == "done":
        return False
    return record.id == job.id and dict(record.needs) == dict(needs)


def _attempt(
    job: Job, out: Path, places: Mapping[str, str], needs: Mapping[str, str], progress: Progress
) -> JobRecord:
    record = JobRecord(
        name=job.name,
        id=job.id,
        status="running",
        argv=job.argv,
        inputs=dict(job.inputs),
        needs=dict(needs),
        commit=collect_provenance()["git_commit"],
        started=_now(),
    )
    write_record(out, record)
    start = time.monotonic()
    try:
        for path in job.outputs:
            (out / path).parent.mkdir(parents=True, exist_ok=True)
        exit_code = run_process(job.command(places), log_path(out, job.name), progress.tick)
    except BaseException:
        seconds = time.monotonic() - start
        write_record(
            out, replace(record, status="interrupted", finished=_now(), seconds=round(seconds, 3))
        )
        raise
    complete = exit_code == 0 and all((out / path).is_file() for path in job.proofs)
    record = replace(
        record,
        status="done" if complete else "failed",
        finished=_now(),
        seconds=round(time.monotonic() - start, 3),
        exit_code=exit_code,
        outputs=hash_outputs(out, job.outputs) if complete else {},
    )
    write_record(out, record)
    return record


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    folder = out / "jobs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}; choose a folder to write in") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"--out {out}: another reproduce-paper works there; wait for it or choose another"
            ) from None
        yield


def local_places(out: Path, packages: Path) -> dict[str, str]:
    """Returns what the placeholders in argv stand for on this machine."""
    return {"python": sys.executable, "out": str(out), "packages": str(packages)}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
