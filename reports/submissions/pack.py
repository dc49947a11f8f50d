"""Packs a reproduction's records, without its videos, into a submission."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from baselines.registry import UnknownModelError, find_model
from drift.errors import UsageError
from drift.files import atomic_write_text, dump_json, file_sha256
from reports.submissions.submission import (
    RECORD_GLOBS,
    RECORDS,
    SUBMISSION_NAME,
    Submission,
    check_record,
    read_record,
)

# Source: hiar/tiny/assets/transformer/training.json, settings.latent_frames = 21: 81 frames at 16
# a second.
TINY_TRAINED_S = 81 / 16


def pack(
    run: Path,
    manifest: Mapping[str, Any],
    entries: Path,
    *,
    name: str,
    lab: str,
    machine: str,
    note: str = "",
) -> Path:
    """Copies the records of a reproduction that was verified, and says what they are.

    Args:
        run: Folder of the reproduction.
        manifest: Its manifest.
        entries: Folder of the submissions.
        name, lab, machine, note: See `Submission`.

    Returns:
        The folder of the new submission.

    Raises:
        UsageError: The name is taken, or the reproduction has no record or one that may not be
            shared.
    """
    target = entries / name
    if target.exists():
        raise UsageError(f"{target} is there already; give another --name")
    names = sorted(
        path.relative_to(run).as_posix() for glob in RECORD_GLOBS for path in run.glob(glob)
    )
    for record in names:
        check_record(run / record, record)
    submission = Submission(
        name=name,
        lab=lab,
        machine=machine,
        scale=_scale(run, names),
        preset=manifest["preset"],
        preset_sha256=manifest["preset_sha256"],
        environment=manifest["environment"],
        jobs={
            job: {key: entry[key] for key in ("argv", "status", "reason")}
            for job, entry in manifest["jobs"].items()
        },
        trained_s=_trained(manifest["jobs"]),
        note=note,
        files={record: file_sha256(run / record) for record in names},
    )
    part = target.with_name(f".{name}.part")
    shutil.rmtree(part, ignore_errors=True)
    for record in names:
        copy = part / RECORDS / record
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run / record, copy)
    atomic_write_text(part / SUBMISSION_NAME, dump_json(submission.data()))
    part.rename(target)
    return target


def _scale(run: Path, names: list[str]) -> Literal["tiny", "paper"]:
    """Scale of the run's tables; a run without tables holds nothing that can be shown."""
    tables = [name for name in names if name.startswith("tables/")]
    if not tables:
        raise UsageError(f"{run} holds no table; give a run of reproduce-paper with its tables")
    return "tiny" if read_record(run / tables[0])["scale"] == "tiny" else "paper"


def _trained(jobs: Mapping[str, Any]) -> dict[str, float | None]:
    """Seconds of video that the model of each sampled run was trained on, by run."""
    found: dict[str, float | None] = {}
    for job, entry in jobs.items():
        if not job.startswith("sample-"):
            continue
        # {python} -m hiar sample --model MODEL ... or {python} -m baselines generate MODEL ...
        argv = entry["argv"]
        model = argv[argv.index("--model") + 1] if "--model" in argv else argv[4]
        out = argv[argv.index("--out") + 1]
        found[out.removeprefix("{out}/videos/").split("/")[0]] = _trained_s(model)
    return found


def _trained_s(model: str) -> float | None:
    if model == "tiny":
        return TINY_TRAINED_S
    try:
        return find_model(model).trained_s
    except UnknownModelError:
        return None
