"""Writes manifest.json, which names the job, inputs and commit behind every file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from drift.files import atomic_write_text, dump_json, file_sha256
from drift.provenance import collect_provenance
from reports.paper.spec import Preset
from reports.plan.sources import files_sha256
from reports.run.execute import Outcome

MANIFEST_NAME = "manifest.json"
MANIFEST_SCHEMA = "reports-manifest/2"
PACKAGES = ("torch", "diffusers", "transformers", "safetensors", "matplotlib", "jinja2")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file that reproduce-paper itself wrote, and the jobs whose outputs it read."""

    path: Path
    jobs: tuple[str, ...]


def environment() -> dict[str, Any]:
    """Returns commit, package versions, Python and platform, without names of the machine."""
    found = collect_provenance()
    versions: dict[str, str | None] = dict(found["packages"])
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {**found, "packages": versions}


def manifest_facts(
    preset: Preset,
    parts: Sequence[str],
    outcomes: Mapping[str, Outcome],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the manifest without its files: all that they depend on.

    Args:
        preset: The preset that was run.
        parts: The parts of the report that were asked for.
        outcomes: How each job ended.
        about: Result of `environment`.
    """
    return {
        "schema": MANIFEST_SCHEMA,
        "preset": preset.name,
        "preset_sha256": preset.sha256,
        "parts": list(parts),
        "source_sha256": {name: files_sha256(name) for name in ("reports", "drift")},
        "placeholders": "{python}, {out}, {packages} and {data} in argv: the interpreter, this "
        "folder, the folder that holds the packages, the folder of prompts and checkpoints",
        "environment": dict(about),
        "jobs": {name: _job_entry(outcome) for name, outcome in outcomes.items()},
    }


def build_manifest(
    out: Path,
    facts: Mapping[str, Any],
    outcomes: Mapping[str, Outcome],
    artifacts: Iterable[Artifact],
) -> dict[str, Any]:
    """Builds the manifest.

    Args:
        out: The reproduction folder; paths in the manifest are relative to it.
        facts: Result of `manifest_facts`.
        outcomes: How each job ended.
        artifacts: Tables, figures and the report.
    """
    files = {
        path: {"sha256": sha256, "jobs": [name]}
        for name, hashes in _job_files(outcomes).items()
        for path, sha256 in hashes.items()
    }
    for artifact in artifacts:
        name = artifact.path.relative_to(out).as_posix()
        files[name] = {"sha256": file_sha256(artifact.path), "jobs": list(artifact.jobs)}
    return {**facts, "artifacts": dict(sorted(files.items()))}


def is_written(out: Path, facts: Mapping[str, Any], outcomes: Mapping[str, Outcome]) -> bool:
    """Says whether the report of these facts is there already, every file as it was written.

    Args:
        out: The reproduction folder.
        facts: Result of `manifest_facts`.
        outcomes: How each job ended; the files of reused jobs have been checked.
    """
    try:
        found = json.loads((out / MANIFEST_NAME).read_bytes())
        files = found.pop("artifacts")
        if found != json.loads(dump_json(facts)):
            return False
        made_by_jobs = {path for hashes in _job_files(outcomes).values() for path in hashes}
        return all(
            file_sha256(out / path) == entry["sha256"]
            for path, entry in files.items()
            if path not in made_by_jobs
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # whatever is wrong with the old report, a new one puts it right


def _job_files(outcomes: Mapping[str, Outcome]) -> dict[str, dict[str, str]]:
    """SHA-256 of each output file, by job."""
    return {
        name: outcome.record.hashes
        for name, outcome in outcomes.items()
        if outcome.ok and outcome.record is not None
    }


def _job_entry(outcome: Outcome) -> dict[str, Any]:
    job = outcome.job
    entry: dict[str, Any] = {
        "id": job.id,
        "argv": list(job.argv),
        "inputs": dict(job.inputs),
        "needs": list(job.dependencies),
        "status": "done" if outcome.ok else outcome.status,
        "reason": outcome.reason or None,
    }
    if outcome.record is not None:
        record = asdict(outcome.record)
        keys = ("commit", "started", "finished", "seconds", "exit_code", "attempts")
        entry |= {key: record[key] for key in keys} | {"outputs": outcome.record.digest}
    return entry


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the manifest whole or not at all."""
    atomic_write_text(path, dump_json(manifest))
