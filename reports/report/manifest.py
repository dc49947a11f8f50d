"""Writes manifest.json, which names the job, inputs and commit behind every file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from drift.files import atomic_write_text, dump_json, file_sha256
from drift.provenance import collect_provenance
from reports.paper.spec import Preset
from reports.run.execute import Outcome

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


def build_manifest(
    out: Path,
    preset: Preset,
    outcomes: Mapping[str, Outcome],
    artifacts: Iterable[Artifact],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Builds the manifest.

    Args:
        out: The reproduction folder; paths in the manifest are relative to it.
        preset: The preset that was run.
        outcomes: How each job ended.
        artifacts: Tables, figures and the report.
        about: Result of `environment`.
    """
    files = {
        path: {"sha256": sha256, "jobs": [name]}
        for name, outcome in outcomes.items()
        if outcome.ok and outcome.record is not None
        for path, sha256 in outcome.record.hashes.items()
    }
    for artifact in artifacts:
        name = artifact.path.relative_to(out).as_posix()
        files[name] = {"sha256": file_sha256(artifact.path), "jobs": list(artifact.jobs)}
    return {
        "schema": MANIFEST_SCHEMA,
        "preset": preset.name,
        "preset_sha256": preset.sha256,
        "placeholders": "{python}, {out}, {packages} and {data} in argv: the interpreter, this "
        "folder, the folder that holds the packages, the folder of prompts and checkpoints",
        "environment": dict(about),
        "jobs": {name: _job_entry(outcome) for name, outcome in outcomes.items()},
        "artifacts": dict(sorted(files.items())),
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
        entry |= {key: record[key] for key in keys}
    return entry


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the manifest whole or not at all."""
    atomic_write_text(path, dump_json(manifest))
