"""From a request to the files: plan, run, read records, write tables, figures, page, manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drift.errors import UsageError
from drift.records import file_sha256
from reports.cells import Table
from reports.execute import Outcome, local_places, run_jobs
from reports.job_records import log_path, plan_states
from reports.jobs import (
    InputHashes,
    Job,
    plan_jobs,
    sample_name,
    score_name,
    select_jobs,
)
from reports.manifest import build_manifest, environment, write_manifest
from reports.measurements import load_measurements
from reports.outputs import table_jobs, write_outputs
from reports.parts import PARTS
from reports.render.as_data import table_record
from reports.sources import package_files, package_root, source_sha256
from reports.spec import Preset, load_preset
from reports.tables import TABLES


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for; `only` empty means every part, `out` is absolute."""

    preset: str
    out: Path
    only: tuple[str, ...] = ()
    resume: bool = True

    def __post_init__(self) -> None:
        for part in self.only:
            if part not in PARTS:
                raise UsageError(f"--only {part!r}: unknown; choose from {', '.join(PARTS)}")
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"--out {self.out} is a file; give a folder")

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts to make, in the order of the report."""
        return tuple(part for part in PARTS if not self.only or part in self.only)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came out."""

    out: Path
    tables: list[Table]
    outcomes: Mapping[str, Outcome]
    report: Path

    @property
    def failed(self) -> list[Outcome]:
        """Jobs without outputs."""
        return [outcome for outcome in self.outcomes.values() if not outcome.ok]

    def log(self, outcome: Outcome) -> Path:
        """Returns where a job's log lies."""
        return log_path(self.out, outcome.job.name)

    def record(self) -> dict[str, Any]:
        """Returns the result as JSON data."""
        return {
            "schema": "reports-result/1",
            "report": str(self.report),
            "tables": {table.name: table_record(table) for table in self.tables},
            "jobs": {name: outcome.status for name, outcome in self.outcomes.items()},
            "failed": {o.job.name: {"reason": o.reason, "log": o.tail} for o in self.failed},
        }


def plan(request: Request) -> dict[str, tuple[str, list[str]]]:
    """Returns state (done or run) and command of each job, without running any."""
    jobs = _jobs(request, load_preset(request.preset))
    places = local_places(request.out, package_root("hiar").parent)
    done = plan_states(request.out, jobs, resume=request.resume)
    return {job.name: ("done" if done[job.name] else "run", job.command(places)) for job in jobs}


def reproduce(request: Request) -> Result:
    """Does all that a request asks for.

    Raises:
        UsageError: On a mistake in the request, before anything runs.
    """
    preset = load_preset(request.preset)
    places = local_places(request.out, package_root("hiar").parent)
    outcomes = run_jobs(_jobs(request, preset), request.out, places, resume=request.resume)
    measurements = load_measurements(preset, request.out, outcomes)
    about = environment()
    written = write_outputs(measurements, request.parts, outcomes, about, request.out)
    manifest = build_manifest(request.out, preset.name, outcomes, written.artifacts, about)
    write_manifest(request.out / "manifest.json", manifest)
    return Result(out=request.out, tables=written.tables, outcomes=outcomes, report=written.report)


def _jobs(request: Request, preset: Preset) -> tuple[Job, ...]:
    sample = preset.sample
    patterns = (sample.prompts, *sample.inputs)
    inputs = {name: path for pattern in patterns for name, path in package_files(pattern).items()}
    hashes = InputHashes(
        sample_files={name: file_sha256(path) for name, path in inputs.items()},
        hiar_source=source_sha256("hiar"),
        drift_source=source_sha256("drift"),
    )
    jobs = plan_jobs(preset, hashes)
    wanted: set[str] = set()
    for part in request.parts:
        if part in TABLES:
            wanted.update(table_jobs(part, preset.scale))
        else:
            runs = [run.name for run in preset.runs]
            wanted.update(score_name(run) for run in runs)
            wanted.update(sample_name(run) for run in runs)
    return select_jobs(jobs, wanted)
