"""Guards the reproduction folder: one process, one preset, no file of others overwritten."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drift.errors import UsageError
from drift.files import DISK_FULL, atomic_write_text, remove_leftovers
from reports.plan.jobs import Job
from reports.run.job_records import record_path

FOLDER_SCHEMA = "reports-folder/1"
LOCK = "jobs/.lock"
WRITTEN = ("", "jobs", "tables", "figures")
"""Folders in which this package writes; a job tidies up its own."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a folder holds: which preset, and the hash of all that decides its results."""

    preset: str
    preset_sha256: str


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Makes the folder and keeps other processes out of it; the kernel lifts the lock if we die.

    Raises:
        UsageError: Another process works there, or the folder cannot be written.
    """
    path = out / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
    except OSError as error:
        remedy = "make room" if error.errno in DISK_FULL else "choose a folder to write in"
        raise UsageError(f"--out {out}: {error.strerror}; {remedy}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"--out {out}: another reproduce-paper works there; wait for it (reproduce-paper "
                "status shows how far it is) or choose another"
            ) from None
        remove_leftovers(*(out / name for name in WRITTEN))
        yield


def is_locked(out: Path) -> bool:
    """Whether a reproduce-paper works in the folder now."""
    try:
        lock = (out / LOCK).open("r")
    except OSError:
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def read_identity(out: Path) -> Identity | None:
    """Reads what a folder holds; None for a new one.

    Raises:
        UsageError: Another version of the toolkit made it.
    """
    path = out / "reproduction.json"
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        data = {}
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != FOLDER_SCHEMA:
        raise UsageError(
            f"{path}: schema is {schema!r}, this reads {FOLDER_SCHEMA!r}: another "
            "version of the toolkit made this folder; use that one, or choose another --out"
        )
    return Identity(preset=data["preset"], preset_sha256=data["preset_sha256"])


def check_identity(out: Path, ours: Identity, *, resume: bool) -> None:
    """Refuses a folder that holds results of something else.

    Raises:
        UsageError: It holds another preset, or this one by another spec with `resume` set.
    """
    theirs = read_identity(out)
    if theirs is None or theirs == ours or (theirs.preset == ours.preset and not resume):
        return
    if theirs.preset != ours.preset:
        raise UsageError(
            f"--out {out} holds preset {theirs.preset}, not {ours.preset}; choose another folder"
        )
    raise UsageError(
        f"--out {out} holds preset {ours.preset} by another spec (hash "
        f"{theirs.preset_sha256[:12]}, now {ours.preset_sha256[:12]}); choose another folder, or "
        "--no-resume to run all again in this one"
    )


def write_identity(out: Path, identity: Identity) -> None:
    """Writes into the folder what it holds."""
    data = {"schema": FOLDER_SCHEMA, **identity.__dict__}
    if read_identity(out) != identity:
        atomic_write_text(out / "reproduction.json", json.dumps(data, indent=1) + "\n")


def refuse_foreign(out: Path, jobs: tuple[Job, ...]) -> None:
    """Refuses a folder with an output that no record of ours accounts for.

    Raises:
        UsageError: There is such a file, which is named.
    """
    for job in jobs:
        there = [out / path for path in job.outputs if (out / path).exists()]
        if there and not record_path(out, job.name).is_file():
            raise UsageError(
                f"{there[0]} is there, but no record says what made it; move it away or choose "
                "another --out"
            )
