"""What is on disk about a job: its record, its log, and whether it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from drift.records import atomic_write_text
from reports.jobs import Job
from reports.sources import hash_outputs

JOB_SCHEMA = "reports-job/1"
LOG_TAIL_LINES = 12


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """One attempt at a job.

    Attributes:
        status: running, done, failed or interrupted; only done counts on resume.
        needs: Digest of each needed job's outputs, as this attempt read them.
        outputs: sha256 by path relative to the reproduction folder.
        commit: Git commit of the code that ran, None outside a checkout.
        started: UTC, ISO 8601; `finished` is empty while the job runs.
    """

    name: str
    id: str
    status: str
    argv: tuple[str, ...]
    inputs: Mapping[str, str]
    needs: Mapping[str, str]
    commit: str | None
    started: str
    finished: str = ""
    seconds: float = 0.0
    exit_code: int | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    schema: str = JOB_SCHEMA

    @property
    def digest(self) -> str:
        """One sha256 over the names and hashes of all outputs."""
        return hashlib.sha256(json.dumps(dict(self.outputs), sort_keys=True).encode()).hexdigest()


def record_path(out: Path, name: str) -> Path:
    """Returns where a job's record lies."""
    return out / "jobs" / f"{name}.json"


def log_path(out: Path, name: str) -> Path:
    """Returns where a job's stdout and stderr lie."""
    return out / "jobs" / f"{name}.log"


def read_record(out: Path, name: str) -> JobRecord | None:
    """Reads a record; None where there is none that this version can read."""
    try:
        data = json.loads(record_path(out, name).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if data.get("schema") != JOB_SCHEMA:
        return None
    return JobRecord(**{**data, "argv": tuple(data["argv"])})


def write_record(out: Path, record: JobRecord) -> None:
    """Writes a record whole or not at all."""
    path = record_path(out, record.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, json.dumps(asdict(record), indent=1) + "\n")


def log_tail(out: Path, name: str) -> str:
    """Returns the last lines of a job's log."""
    path = log_path(out, name)
    if not path.is_file():
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
    return "\n".join([line for line in lines if line.strip()][-LOG_TAIL_LINES:])


def need_digests(job: Job, records: Mapping[str, JobRecord]) -> dict[str, str]:
    """Returns the output digests of the jobs that this one needs."""
    return {need: records[need].digest for need in job.needs}


def is_done(out: Path, job: Job, record: JobRecord, needs: Mapping[str, str]) -> bool:
    """Says whether a job's outputs are there, whole, and made from the same inputs.

    Args:
        out: The reproduction folder.
        job: The job as planned now.
        record: Its record on disk.
        needs: Digests of the needed jobs' outputs now.
    """
    if record.status != "done" or record.id != job.id:
        return False
    if dict(record.needs) != dict(needs):
        return False
    now = hash_outputs(out, job.outputs)
    return all(now.get(path) == sha256 for path, sha256 in record.outputs.items())


def plan_states(out: Path, jobs: tuple[Job, ...], *, resume: bool) -> dict[str, bool]:
    """Says for each job whether it is done already; a job after one that runs is not."""
    done: dict[str, JobRecord] = {}
    for job in jobs:
        if not resume or any(need not in done for need in job.needs):
            continue
        record = read_record(out, job.name)
        if record is not None and is_done(out, job, record, need_digests(job, done)):
            done[job.name] = record
    return {job.name: job.name in done for job in jobs}
