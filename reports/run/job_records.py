"""What is on disk about a job: its record, its log, and whether it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from drift.errors import UsageError
from drift.files import atomic_write_text, file_sha256
from drift.typed_data import checked
from reports.plan.jobs import Job

JOB_SCHEMA = "reports-job/2"
LOG_TAIL_LINES = 12
DONE, FAILED, RUNNING, INTERRUPTED = "done", "failed", "running", "interrupted"


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """A file that a job made; equal size and time say, without hashing, that it is unchanged."""

    sha256: str
    num_bytes: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """The last attempt at a job.

    Attributes:
        status: running, done, failed or interrupted; only done counts on resume.
        needs: Digests of the outputs that this attempt read, by the job that made them.
        commit: Git commit of the code that ran, None outside a checkout.
        started: When the attempt started, in UTC as ISO 8601.
        finished: When it ended, empty while the job runs.
        attempts: Number of attempts in a row.
        outputs: Files that the job made, by path relative to the reproduction folder.
    """

    name: str
    id: str
    status: str
    argv: tuple[str, ...]
    inputs: Mapping[str, str]
    needs: Mapping[str, str]
    commit: str | None
    started: str
    kind: str = ""
    finished: str = ""
    seconds: float = 0.0
    exit_code: int | None = None
    attempts: int = 1
    outputs: Mapping[str, OutputFile] = field(default_factory=dict)
    schema: Literal["reports-job/2"] = "reports-job/2"

    @property
    def hashes(self) -> dict[str, str]:
        """sha256 of each output, by path."""
        return {path: file.sha256 for path, file in self.outputs.items()}

    @property
    def digest(self) -> str:
        """One sha256 over the names and hashes of all outputs."""
        return hashlib.sha256(json.dumps(self.hashes, sort_keys=True).encode()).hexdigest()


def record_path(out: Path, name: str) -> Path:
    """Returns where a job's record lies."""
    return out / "jobs" / f"{name}.json"


def log_path(out: Path, name: str) -> Path:
    """Returns where a job's stdout and stderr lie."""
    return out / "jobs" / f"{name}.log"


def read_record(out: Path, name: str) -> JobRecord | None:
    """Reads a record; None where there is none, or only part of one after a crash of the machine.

    Raises:
        UsageError: Another version of the toolkit wrote it.
    """
    path = record_path(out, name)
    try:
        data = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return record_from(data, path)


def record_from(data: Mapping[str, Any], path: Path) -> JobRecord:
    """Builds a record from its JSON; an error about its schema names `path`."""
    if data.get("schema") != JOB_SCHEMA:
        raise UsageError(
            f"{path}: schema is {data.get('schema')!r}, this reads {JOB_SCHEMA!r}: another version "
            "of the toolkit wrote it; use that one, or choose another --out"
        )
    return checked(JobRecord, data, str(path))


def write_record(out: Path, record: JobRecord) -> None:
    """Writes a record whole or not at all."""
    atomic_write_text(record_path(out, record.name), json.dumps(asdict(record), indent=1) + "\n")


def log_tail(out: Path, name: str) -> str:
    """Returns the last lines of a job's log."""
    path = log_path(out, name)
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 64 * 1024))
        text = stream.read().decode("utf-8", errors="replace")
    lines = text.replace("\r", "\n").splitlines()
    return "\n".join([line for line in lines if line.strip()][-LOG_TAIL_LINES:])


def output_files(out: Path, outputs: tuple[str, ...]) -> dict[str, Path]:
    """Lists a job's output files by path relative to `out`, sorted; missing ones have no entry.

    Files whose name begins with a dot do not count: they are half-written, or somebody's cache.
    """
    found: dict[str, Path] = {}
    for output in outputs:
        path = out / output
        paths = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
        found |= {p.relative_to(out).as_posix(): p for p in paths if not p.name.startswith(".")}
    return dict(sorted(found.items()))


def describe_file(path: Path) -> OutputFile:
    """Hashes one file."""
    state = path.stat()
    return OutputFile(sha256=file_sha256(path), num_bytes=state.st_size, mtime_ns=state.st_mtime_ns)


def is_unchanged(path: Path, file: OutputFile) -> bool:
    """Whether a file is the recorded one: by size and time, and by content if the time differs."""
    try:
        state = path.stat()
        if state.st_size != file.num_bytes:
            return False
        return state.st_mtime_ns == file.mtime_ns or file_sha256(path) == file.sha256
    except OSError:
        return False


def is_done(out: Path, job: Job, record: JobRecord, digests: Mapping[str, str]) -> bool:
    """Says whether a job's outputs are there, whole, and made from the same inputs.

    Args:
        out: The reproduction folder.
        job: The job as planned now.
        record: The job's record on disk.
        digests: Digests, now, of the outputs of the jobs that it depends on.
    """
    if record.status != DONE or record.id != job.id or dict(record.needs) != dict(digests):
        return False
    return all(is_unchanged(out / path, file) for path, file in record.outputs.items())


def plan_states(out: Path, jobs: tuple[Job, ...], *, resume: bool) -> dict[str, bool]:
    """Says for each job whether it is done already, which takes that its dependencies are."""
    done: dict[str, str] = {}
    there = resume and (out / "jobs").is_dir()
    for job in jobs if there else ():
        if any(need not in done for need in job.dependencies):
            continue
        record = read_record(out, job.name)
        digests = {need: done[need] for need in job.dependencies}
        if record is not None and is_done(out, job, record, digests):
            done[job.name] = record.digest
    return {job.name: job.name in done for job in jobs}
