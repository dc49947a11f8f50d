"""Checks the files and numbers of a reproduction, or compares two reproductions."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drift.errors import UsageError
from drift.files import file_sha256
from reports.report.manifest import MANIFEST_SCHEMA
from reports.run.job_records import DONE, JobRecord, read_record

VERIFY_SCHEMA = "reports-verify/1"
TIMED_COLUMNS = ("throughput_fps", "latency_s")
"""Columns that measure time; no two runs agree, so they are shown but never compared."""
SHOWN = 40


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was checked.

    Attributes:
        checked: Number of files, or of table cells, that were checked.
        what: What was checked, in words.
        problems: A line for each problem.
        notes: Other lines to print.
    """

    checked: int
    what: str
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Returns the report as JSON data."""
        return {"schema": VERIFY_SCHEMA, "ok": not self.problems, **self.__dict__}


def report_text(report: Report) -> str:
    """Formats the report for a terminal."""
    lines = [*report.notes, *report.problems[:SHOWN]]
    if len(report.problems) > SHOWN:
        lines.append(f"and {len(report.problems) - SHOWN} more")
    count = len(report.problems)
    verdict = f"{count} problem{'s' if count > 1 else ''}" if count else "all well"
    return "\n".join([*lines, f"{report.checked} {report.what}: {verdict}"]) + "\n"


def verify_run(out: Path) -> Report:
    """Traces every file of a reproduction to its job and inputs, and hashes it.

    Raises:
        UsageError: The folder holds no manifest that this version reads.
    """
    manifest = read_manifest(out)
    jobs, files = manifest["jobs"], manifest["artifacts"]
    problems = list(_changed_files(out, files))
    problems += _untraced_files(files, jobs)
    records = {name: read_record(out, name) for name in jobs}
    problems += _stale_jobs(jobs, records)
    problems += _untraced_numbers(out, files, jobs)
    numbers = sum(1 for _ in _measured_cells(out, files))
    done = sum(1 for job in jobs.values() if job["status"] == DONE)
    notes = (
        f"preset {manifest['preset']} ({manifest['preset_sha256'][:12]}), commit "
        f"{manifest['environment'].get('git_commit') or 'unknown'}",
        f"{done} of {len(jobs)} jobs done, {numbers} measured numbers in the tables",
    )
    return Report(
        checked=len(files), what="files hashed and traced", problems=tuple(problems), notes=notes
    )


def read_manifest(out: Path) -> dict[str, Any]:
    """Reads manifest.json.

    Raises:
        UsageError: There is none, or one of another version.
    """
    path = out / "manifest.json"
    try:
        data: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no JSON"
        raise UsageError(
            f"{path}: {reason}; give the --out of a reproduce-paper run that came to its end"
        ) from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != MANIFEST_SCHEMA:
        raise UsageError(
            f"{path}: schema is {schema!r}, this reads {MANIFEST_SCHEMA!r}; run "
            "reproduce-paper again to write it anew"
        )
    return data


def _changed_files(out: Path, files: Mapping[str, Any]) -> Iterator[str]:
    for name, entry in files.items():
        path = out / name
        if not path.is_file():
            yield f"{name}: missing"
        elif file_sha256(path) != entry["sha256"]:
            yield f"{name}: changed since it was made"


def _untraced_files(files: Mapping[str, Any], jobs: Mapping[str, Any]) -> Iterator[str]:
    for name, entry in files.items():
        for job in entry["jobs"]:
            if job not in jobs:
                yield f"{name}: made from job {job}, which the manifest does not have"


def _stale_jobs(jobs: Mapping[str, Any], records: Mapping[str, JobRecord | None]) -> Iterator[str]:
    """Names jobs whose record is not the manifest's, or that read outputs which have changed."""
    for name, job in jobs.items():
        record = records[name]
        if job["status"] != DONE:
            continue
        if record is None or record.status != DONE:
            yield f"job {name}: no record says that it is done"
            continue
        if record.id != job["id"] or dict(record.inputs) != job["inputs"]:
            yield f"job {name}: its record is of another id than the manifest's"
        for need, digest in record.needs.items():
            source = records.get(need)
            if source is None or source.digest != digest:
                yield f"job {name}: {need} has made other outputs since"


def _untraced_numbers(
    out: Path, files: Mapping[str, Any], jobs: Mapping[str, Any]
) -> Iterator[str]:
    for place, measured in _measured_cells(out, files):
        job = measured.get("job", "")
        if job.startswith("record "):
            continue  # a trained model's record, which another command wrote
        if job not in jobs or jobs[job]["status"] != DONE:
            yield f"{place}: from job {job or 'unknown'}, which is not done"


def _measured_cells(out: Path, files: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the place and the record of each measured number of the tables."""
    for name in sorted(files):
        if not (name.startswith("tables/") and name.endswith(".json")):
            continue
        try:
            table = json.loads((out / name).read_bytes())
        except (OSError, ValueError):
            continue  # a missing or changed file is a problem already
        for row in table.get("rows", ()):
            for column, cell in row["cells"].items():
                measured = cell["measured"]
                if measured.get("status") == "measured":
                    yield f"{Path(name).stem}, {row['id']}, {column}", measured


def compare_runs(ours: Path, theirs: Path, *, rtol: float = 0.0) -> Report:
    """Compares the measured numbers of two reproductions, one by one.

    Args:
        ours, theirs: Folders of the two reproductions.
        rtol: Relative difference that still counts as equal.

    Raises:
        UsageError: One has no manifest, or they are of two presets.
    """
    manifests = [read_manifest(folder) for folder in (ours, theirs)]
    presets = [(m["preset"], m["preset_sha256"]) for m in manifests]
    if presets[0] != presets[1]:
        names = " and ".join(f"{name} ({sha256[:12]})" for name, sha256 in presets)
        raise UsageError(f"{ours} and {theirs} hold presets {names}; compare two of one preset")
    left, right = (
        dict(_measured_cells(out, m["artifacts"]))
        for out, m in zip((ours, theirs), manifests, strict=True)
    )
    problems, notes, timed = [], _differing_jobs(*manifests), 0
    for place in sorted(left.keys() | right.keys()):
        if place not in left or place not in right:
            which = ours if place in left else theirs
            problems.append(f"{place}: measured only in {which}")
        elif place.rsplit(", ", 1)[1] in TIMED_COLUMNS:
            timed += 1
            notes.append(f"{place}: {_pair(left[place], right[place])}, a time: not compared")
        elif not _same(left[place], right[place], rtol):
            problems.append(f"{place}: {_pair(left[place], right[place])}")
    return Report(
        checked=len(left.keys() | right.keys()) - timed,
        what="numbers compared",
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _same(ours: Mapping[str, Any], theirs: Mapping[str, Any], rtol: float) -> bool:
    """Says whether value, interval and count agree."""
    pairs = [(ours["value"], theirs["value"])]
    pairs += zip(ours.get("interval") or (), theirs.get("interval") or (), strict=False)
    if bool(ours.get("interval")) != bool(theirs.get("interval")) or ours["n"] != theirs["n"]:
        return False
    return all(math.isclose(a, b, rel_tol=rtol, abs_tol=0.0) for a, b in pairs)


def _pair(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    a, b = float(ours["value"]), float(theirs["value"])
    change = f" ({100 * (b / a - 1):+.3g} %)" if a else ""
    return f"{a:.6g} and {b:.6g}{change}, n {ours['n']} and {theirs['n']}"


def _differing_jobs(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Lists what differs between two runs: commits, and inputs of jobs of one name."""
    names = set()
    for name in ours["jobs"].keys() & theirs["jobs"].keys():
        a, b = ours["jobs"][name]["inputs"], theirs["jobs"][name]["inputs"]
        names |= {key for key in a.keys() | b.keys() if a.get(key) != b.get(key)}
    commits = [m["environment"].get("git_commit") for m in (ours, theirs)]
    lines = [f"commits {commits[0]} and {commits[1]}"] if commits[0] != commits[1] else []
    return lines + [f"differs between them: {name}" for name in sorted(names)]
