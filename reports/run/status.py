"""Tells how far a reproduction is, from its folder alone, whether or not it runs now."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drift.errors import UsageError
from drift.files import atomic_write_text
from reports.plan.jobs import Job, clock
from reports.run.job_records import DONE, FAILED, INTERRUPTED, RUNNING, log_path, record_path
from reports.run.run_folder import Identity, is_locked, read_identity

STATUS_SCHEMA = "reports-status/1"
GRAPH_SCHEMA = "reports-graph/1"
WAITING = "waiting"


@dataclass(frozen=True, kw_only=True)
class JobState:
    """State of one job, as the folder records it."""

    name: str
    kind: str
    state: str
    seconds: float
    expected_s: float


@dataclass(frozen=True, kw_only=True)
class Status:
    """All jobs of a folder's last run.

    Attributes:
        alive: Whether a reproduce-paper works there now.
        left_s: Estimated seconds left, with as many jobs at once as that run has.
        set_aside: Number of jobs that were not run, by reason.
    """

    folder: Path
    identity: Identity
    alive: bool
    jobs: tuple[JobState, ...]
    left_s: float
    set_aside: Mapping[str, int]

    @property
    def counts(self) -> dict[str, int]:
        """Number of jobs by state."""
        return dict(Counter(job.state for job in self.jobs))

    def named(self, state: str) -> list[JobState]:
        """Returns the jobs in a state."""
        return [job for job in self.jobs if job.state == state]

    @property
    def failed(self) -> list[JobState]:
        """Jobs that failed."""
        return self.named(FAILED)


def write_graph(out: Path, jobs: tuple[Job, ...], slots: int) -> None:
    """Writes the graph of a run beside its records, for `status`."""
    data = {
        "schema": GRAPH_SCHEMA,
        "slots": slots,
        "jobs": {job.name: [job.id, job.kind, round(job.expected_s, 3)] for job in jobs},
    }
    atomic_write_text(out / "jobs/.graph.json", json.dumps(data) + "\n")


def write_set_aside(out: Path, reasons: Mapping[str, str]) -> None:
    """Writes why jobs could not run, by job, for `status`."""
    atomic_write_text(out / "jobs/.set_aside.json", json.dumps(reasons) + "\n")


def read_status(out: Path) -> Status:
    """Reads a folder; nothing in it is changed.

    Raises:
        UsageError: The folder holds no reproduction, or one of another version.
    """
    identity = read_identity(out)
    try:
        graph = json.loads((out / "jobs/.graph.json").read_bytes())
    except (OSError, ValueError):
        graph = {}
    if identity is None or graph.get("schema") != GRAPH_SCHEMA:
        raise UsageError(f"{out}: no reproduction; give the --out of a reproduce-paper run")
    try:
        aside: dict[str, str] = json.loads((out / "jobs/.set_aside.json").read_bytes())
    except (OSError, ValueError):
        aside = {}
    alive = is_locked(out)
    jobs = tuple(
        _state(out, name, entry, alive=alive, aside=name in aside)
        for name, entry in graph["jobs"].items()
    )
    return Status(
        folder=out,
        identity=identity,
        alive=alive,
        jobs=jobs,
        left_s=_left_s(jobs, graph["slots"]),
        set_aside=Counter(aside.values()),
    )


def _state(out: Path, name: str, entry: list[Any], *, alive: bool, aside: bool) -> JobState:
    job_id, kind, expected_s = entry
    state, seconds = ("not run" if aside else WAITING), 0.0
    try:
        record = json.loads(record_path(out, name).read_bytes())
    except (OSError, ValueError):
        record = {}
    if record.get("id") == job_id:
        state, seconds = record["status"], record["seconds"]
        if state == RUNNING:
            seconds = (
                datetime.now(UTC) - datetime.fromisoformat(record["started"])
            ).total_seconds()
            state = RUNNING if alive else INTERRUPTED
    return JobState(name=name, kind=kind, state=state, seconds=seconds, expected_s=expected_s)


def _left_s(jobs: tuple[JobState, ...], slots: int) -> float:
    """Sums the estimates of open jobs, corrected by how long done jobs of their kind took."""
    took: dict[str, list[float]] = {}
    for job in jobs:
        if job.state == DONE:
            pair = took.setdefault(job.kind, [0.0, 0.0])
            pair[0] += job.seconds
            pair[1] += job.expected_s
    everything = [sum(pair[0] for pair in took.values()), sum(pair[1] for pair in took.values())]
    left = 0.0
    for job in jobs:
        if job.state in (WAITING, RUNNING, INTERRUPTED):
            seconds, expected = took.get(job.kind, everything)
            whole = job.expected_s * (seconds / expected if expected else 1.0)
            left += max(0.0, whole - (job.seconds if job.state == RUNNING else 0.0))
    return left / max(1, slots)


def status_record(status: Status) -> dict[str, Any]:
    """Returns the status as JSON data."""
    return {
        "schema": STATUS_SCHEMA,
        "preset": status.identity.preset,
        "running": status.alive,
        "counts": status.counts,
        "left_s": round(status.left_s),
        "set_aside": dict(status.set_aside),
        "jobs": {job.name: {"state": job.state, "seconds": job.seconds} for job in status.jobs},
    }


def status_text(status: Status) -> str:
    """Formats the status for a terminal."""
    total, done = len(status.jobs), status.counts.get(DONE, 0)
    now = "runs now" if status.alive else "does not run now"
    lines = [f"{status.folder}: preset {status.identity.preset}, {now}"]
    counts = ", ".join(f"{count} {state}" for state, count in sorted(status.counts.items()))
    lines.append(f"{done} of {total} jobs done ({counts})")
    if any(job.state in (WAITING, RUNNING, INTERRUPTED) for job in status.jobs):
        verb = "left" if status.alive else "left, when it goes on"
        lines.append(f"about {clock(status.left_s)} {verb}")
    lines += [
        f"  {job.name}: running for {clock(job.seconds)}" for job in status.named(RUNNING)[:20]
    ]
    lines += [
        f"  {job.name}: failed; log: {log_path(status.folder, job.name)}"
        for job in status.failed[:20]
    ]
    if len(status.failed) > 20:
        lines.append(f"  and {len(status.failed) - 20} more that failed")
    lines += [f"  {count} not run: {reason}" for reason, count in status.set_aside.items()]
    return "\n".join(lines) + "\n"
