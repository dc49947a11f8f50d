"""The mechanism study as jobs: train one model a seed, sample each in every way, score, record.

The folder of a seed holds its `training`; `model.safetensors`, those weights in bfloat16, as they
ship and are sampled; and what `tiny_models.scored_rows` makes of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tiny_models.scored_rows import gather, sampling_jobs
from tiny_models.study_export import save_rounded
from tiny_models.study_jobs import run_all

from hiar.cli.train import RECORD
from hiar.runtime.files import atomic_path, atomic_write_text
from hiar.runtime.provenance import file_sha256
from hiar.tiny.mechanism import FOLDER, SAMPLINGS, SETTINGS
from hiar.tiny.study import WEIGHTS_FILE
from reports.plan.jobs import Job
from reports.records.study_record import MechanismRecord

TRAINING_S = 420.0
"""Seconds of a training on one core, to begin an estimate with."""


def run_mechanism(work: Path, out: Path, record: Path, *, seeds: Sequence[int], jobs: int) -> None:
    """Train, sample and score what is not done, then write the record.

    Args:
        work: Folder of everything that is made.
        out: Folder of the tiny assets; the first seed's model is written there.
        record: Path of the record to write.
        seeds: Training seeds.
        jobs: Processes side by side, of one thread each.
    """
    work = work.resolve()
    run_all(tuple(_training(work, seed) for seed in seeds), work, jobs=jobs)
    for seed in seeds:
        folder = work / f"s{seed}"
        save_rounded(folder / "training/model.safetensors", folder / "model.safetensors")
    jobs_of_rows = (
        job
        for seed in seeds
        for row in SAMPLINGS
        for job in sampling_jobs(work / f"s{seed}", row, work / f"s{seed}/model.safetensors")
    )
    run_all(tuple(jobs_of_rows), work, jobs=jobs)
    _export(work, out, seeds[0])
    trainings = [_training_facts(work, seed) for seed in seeds]
    found = gather(MechanismRecord, SAMPLINGS, lambda s: work / f"s{s}", seeds, trainings)
    atomic_write_text(record, json.dumps(found, indent=1) + "\n")


def _training(work: Path, seed: int) -> Job:
    settings = (*SETTINGS, f"seed={seed}", "run.tensorboard=false")
    argv = ["{python}", "-m", "hiar", "train", "--config", "tiny-pretrain"]
    for setting in settings:
        argv += ["--set", setting]
    folder = f"s{seed}/training"
    return Job(
        name=f"train-s{seed}", kind="train", argv=(*argv, "--out", f"{work}/{folder}"), outputs=(),
        required_outputs=(f"{folder}/{RECORD}",), expected_s=TRAINING_S,
    )  # fmt: skip


def _export(work: Path, out: Path, seed: int) -> None:
    """Write a model among the assets, its record last."""
    folder = out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        temporary.write_bytes((work / f"s{seed}/model.safetensors").read_bytes())
    atomic_write_text(folder / RECORD, json.dumps(_training_facts(work, seed), indent=1) + "\n")


def _training_facts(work: Path, seed: int) -> dict[str, Any]:
    made = json.loads((work / f"s{seed}/training" / RECORD).read_text(encoding="utf-8"))
    return {
        "command": f"python scripts/train_tiny.py --mechanism --seeds {seed}",
        "seed": seed,
        "settings": made["settings"],
        "loss_curve": made["loss_curve"],
        "weights_sha256": file_sha256(work / f"s{seed}/model.safetensors"),
        "provenance": made["provenance"],
    }
