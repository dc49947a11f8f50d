"""The students' study after training: sample every row from each training, score, record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tiny_models.scored_rows import gather, sampling_jobs
from tiny_models.study import EMA_WEIGHTS, StudyConfig, StudyRun, study_runs
from tiny_models.study_export import describe, save_rounded
from tiny_models.study_jobs import run_all

from hiar.runtime.files import atomic_write_text
from hiar.runtime.provenance import file_sha256
from hiar.tiny.mechanism import Sampling
from hiar.tiny.preset import HELD_OUT_SEED
from hiar.tiny.study import NUM_PROMPTS, STUDY_ROWS
from hiar.tiny.world import draw_held_out_prompts
from reports.plan.jobs import Job
from reports.records.study_record import StudentsRecord

ROUNDED = "student_bfloat16.safetensors"
"""The averaged weights in bfloat16, as they ship and are sampled."""


def score_students(study: StudyConfig, record: Path, *, jobs: int) -> None:
    """Sample and score what is not done, then write the record.

    Args:
        study: A study whose students are all trained.
        record: Path of the record to write.
        jobs: Processes side by side, of one thread each.
    """
    prompts = study.work / "prompts.txt"
    drawn = draw_held_out_prompts(NUM_PROMPTS, HELD_OUT_SEED)
    atomic_write_text(prompts, "\n".join(drawn) + "\n")
    students = {run.name: run for run in study_runs(study) if run.model is not None}
    for run in students.values():
        save_rounded(run.out / EMA_WEIGHTS, run.out / ROUNDED)
    names = {model.name for model in study.models}
    rows = tuple(row for row in STUDY_ROWS if row.model in names)
    run_all(tuple(_jobs(study, rows, prompts)), study.work, jobs=jobs)
    found = gather(
        StudentsRecord, rows, lambda seed: _folder(study, seed), study.seeds,
        [_facts(run, study) for run in students.values()], prompts,
    )  # fmt: skip
    atomic_write_text(record, json.dumps(found, indent=1) + "\n")


def _jobs(study: StudyConfig, rows: tuple[Sampling, ...], prompts: Path) -> Iterator[Job]:
    for seed in study.seeds:
        for row in rows:
            weights = study.work / f"{row.model}-s{seed}" / ROUNDED
            yield from sampling_jobs(_folder(study, seed), row, weights, prompts)


def _folder(study: StudyConfig, seed: int) -> Path:
    return study.work / f"s{seed}"


def _facts(run: StudyRun, study: StudyConfig) -> dict[str, Any]:
    """How a student was trained, as the record says it."""
    assert run.model is not None
    facts = describe(run, study)
    kept = ("command", "seed", "settings", "loss_curve", "dynamics", "provenance")
    return {
        "model": run.model.name,
        **{name: facts[name] for name in kept},
        "weights_sha256": file_sha256(run.out / ROUNDED),
    }
