"""Serves a request: plans, runs jobs, reads records, writes tables, figures, page and manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drift.errors import UsageError
from drift.files import file_sha256
from reports.figures import FIGURES
from reports.paper.spec import Preset, load_preset
from reports.paper.spec_types import PromptSet
from reports.plan.inputs import InputHashes
from reports.plan.jobs import Job, select_jobs
from reports.plan.paths import local_paths
from reports.plan.planning import plan_jobs
from reports.plan.requirements import missing_requirements
from reports.plan.sources import data_sha256, package_files, package_versions, source_sha256
from reports.plan.summary import Plan, summarise
from reports.records.measurements import load_measurements
from reports.render.as_data import table_record
from reports.report.manifest import (
    MANIFEST_NAME,
    build_manifest,
    environment,
    is_written,
    manifest_facts,
    write_manifest,
)
from reports.report.outputs import REPORT_NAME, build_tables, table_jobs, write_outputs
from reports.run.execute import Outcome, run_jobs
from reports.run.executors import Executor
from reports.run.job_records import log_path, plan_states
from reports.run.run_folder import Identity, check_identity
from reports.tables import FIGURES_PART, PARTS, TABLES
from reports.tables.cells import Table

SAMPLE_PACKAGES = ("torch", "diffusers", "transformers", "av")
SCORE_PACKAGES = ("av", "numpy", "opencv-python")
LEARNED_PACKAGES = ("torch",)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for.

    Attributes:
        out: Absolute path of the reproduction folder.
        only: Parts to make; empty for all.
        resume: Whether done jobs are reused; False runs all again.
        spec: Spec file of the user; None is the one that ships.
        data: Folder of prompts and checkpoints that the user brings; None is the default one.
    """

    preset: str
    out: Path
    only: tuple[str, ...] = ()
    resume: bool = True
    spec: Path | None = None
    data: Path | None = None

    def __post_init__(self) -> None:
        for part in self.only:
            if part not in PARTS:
                raise UsageError(f"--only {part!r}: unknown; choose from {', '.join(PARTS)}")
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"--out {self.out} is a file; give a folder")

    def parts(self, preset: Preset) -> tuple[str, ...]:
        """Returns the parts to make, in the order of the report."""
        wanted = self.only or (*preset.tables, FIGURES_PART)
        for part in wanted:
            if part in TABLES and not TABLES[part].row_ids(preset.scale):
                raise UsageError(
                    f"--only {part}: preset {preset.name} has no row of it; choose from "
                    f"{', '.join((*preset.tables, FIGURES_PART))}"
                )
        return tuple(part for part in PARTS if part in wanted)


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcomes of all jobs, and what was written."""

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


def plan(request: Request, *, gpus: int) -> Plan:
    """Plans without running: the jobs, what is done, what the rest costs, what is missing.

    Args:
        request: The request.
        gpus: Number of GPUs that the jobs would run on.
    """
    preset = load_preset(request.preset, request.spec)
    paths = local_paths(request.out, request.data)
    check_identity(request.out, _identity(preset), resume=request.resume)
    jobs = _jobs(request, preset, paths)
    done = plan_states(request.out, jobs, resume=request.resume)
    missing = _missing(jobs, preset, paths)
    return summarise(preset, jobs, done, missing, paths, gpus=gpus)


def reproduce(request: Request, executor: Executor | None = None) -> Result:
    """Does everything that a request asks for.

    Args:
        request: The request.
        executor: Runs the jobs; by default one at a time on this machine.

    Raises:
        UsageError: The request has a mistake; raised before anything runs.
    """
    preset = load_preset(request.preset, request.spec)
    paths = local_paths(request.out, request.data)
    jobs = _jobs(request, preset, paths)
    outcomes = run_jobs(
        jobs,
        request.out,
        paths,
        resume=request.resume,
        executor=executor,
        missing=_missing(jobs, preset, paths),
        identity=_identity(preset),
    )
    measurements = load_measurements(preset, request.out, outcomes)
    about, parts = environment(), request.parts(preset)
    tables = build_tables(measurements, parts)
    facts = manifest_facts(preset, parts, outcomes, about)
    if not is_written(request.out, facts, outcomes):
        artifacts = write_outputs(measurements, tables, parts, outcomes, about, request.out)
        manifest = build_manifest(request.out, facts, outcomes, artifacts)
        write_manifest(request.out / MANIFEST_NAME, manifest)
    report = request.out / REPORT_NAME
    return Result(out=request.out, tables=tables, outcomes=outcomes, report=report)


def _identity(preset: Preset) -> Identity:
    return Identity(preset=preset.name, preset_sha256=preset.sha256)


def _missing(jobs: tuple[Job, ...], preset: Preset, paths: Mapping[str, str]) -> dict[str, str]:
    names = dict.fromkeys(name for job in jobs for name in job.requires)
    sets = [sample.prompts for sample in preset.samples]
    get = {file: prompts.get for prompts in sets for file in (prompts.file, prompts.name_file)}
    return missing_requirements(names, paths, get)


def _jobs(request: Request, preset: Preset, paths: Mapping[str, str]) -> tuple[Job, ...]:
    """Plans the jobs of the requested parts."""
    jobs = plan_jobs(preset, _hashes(preset, paths))
    parts = request.parts(preset)
    if parts == (*preset.tables, FIGURES_PART):
        return jobs
    runs = (
        {run for part in parts if part in TABLES for run in TABLES[part].runs(preset.scale)}
        if FIGURES_PART not in parts
        else {run.name for run in preset.runs}
    )
    shared = {job for part in parts if part in TABLES for job in table_jobs(part, preset.scale)}
    if FIGURES_PART in parts:
        names = [job.name for job in jobs]
        shared |= {name for figure in FIGURES.values() for name in figure.jobs(names)}
    return select_jobs(jobs, (job.name for job in jobs if job.run in runs or job.name in shared))


def _hashes(preset: Preset, paths: Mapping[str, str]) -> InputHashes:
    files = {name: path for glob in preset.inputs for name, path in package_files(glob).items()}
    prompts = {sample.prompts.name: _prompts_sha256(sample.prompts, paths)
               for sample in preset.samples}  # fmt: skip
    own = [run.own_weights for run in preset.runs if run.own_weights]
    weights = {name: _data_sha256(name, paths) for name in own}
    learned = LEARNED_PACKAGES if preset.score.metrics != ("fast",) else ()
    return InputHashes(
        files={name: file_sha256(path) for name, path in files.items()},
        prompts={name: sha256 for name, sha256 in prompts.items() if sha256},
        weights={name: sha256 for name, sha256 in weights.items() if sha256},
        sources={name: source_sha256(name) for name in ("hiar", "drift", "baselines", "eval")},
        sample_versions=package_versions(SAMPLE_PACKAGES),
        score_versions=package_versions((*SCORE_PACKAGES, *learned)),
    )


def _prompts_sha256(prompts: PromptSet, paths: Mapping[str, str]) -> str:
    """Hashes a prompt file; empty if it is not there yet.

    Raises:
        UsageError: A file that the user brings holds another number of prompts.
    """
    if prompts.shipped:
        return file_sha256(package_files(prompts.file)[prompts.file])
    path = Path(prompts.file.replace("{data}", paths["data"]))
    if not path.is_file():
        return ""
    lines = path.read_text(encoding="utf-8").split("\n")
    found = sum(1 for line in lines if line.strip())
    if found != prompts.count:
        raise UsageError(
            f"{path}: {found} prompts, one a line; prompts.{prompts.name} has {prompts.count}: "
            f"{prompts.source}"
        )
    return file_sha256(path)


def _data_sha256(name: str, paths: Mapping[str, str]) -> str:
    path = Path(name.replace("{data}", paths["data"]))
    return data_sha256(path) if path.is_file() else ""
