"""The mechanism study as jobs: train one model a seed, sample each in every way, score, record.

The folder of a seed holds its `training`; `model.safetensors`, those weights in bfloat16, as they
ship and are sampled; and `videos/<row>`, `drift/<row>`, `seams/<row>.json`,
`proxies/<row>.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tiny_models.study_export import save_rounded
from tiny_models.study_jobs import run_all

from hiar.cli.train import RECORD
from hiar.codecs.prompts import read_prompts
from hiar.runtime.files import atomic_path, atomic_write_text
from hiar.runtime.provenance import file_sha256, provenance
from hiar.tiny.mechanism import FOLDER, REFERENCE, SAMPLINGS, SETTINGS, Sampling
from hiar.tiny.preset import HELD_OUT_PROMPTS
from hiar.tiny.study import WEIGHTS_FILE
from reports.plan.jobs import Job
from reports.records.drift_record import read_drift
from reports.records.mechanism_record import MECHANISM_SCHEMA
from reports.records.record_files import read_record
from reports.records.vbench_records import read_proxies
from reports.records.video_records import frames_sha256
from reports.schemas.drift_records import Seams

SECONDS, WINDOW, NOISE_SEED = 20, 21, 0
"""Length of the videos, latent frames visible, seed of the noise: as in preset `tiny`."""
FIRST_FRAMES, BLOCK_FRAMES = 9, 12
"""Frames of the first block of three latent frames, and of every later one."""
SEAM_METRIC = "difference"
TRAINING_S, SAMPLING_S, SCORING_S, SEAMS_S, PROXIES_S = 420.0, 25.0, 18.0, 4.0, 6.0
"""Seconds of each job on one core, to begin an estimate with."""


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
    run_all(tuple(job for s in seeds for job in _samplings(work, s)), work, jobs=jobs)
    _export(work, out, seeds[0])
    atomic_write_text(record, json.dumps(describe(work, seeds), indent=1) + "\n")


def describe(work: Path, seeds: Sequence[int]) -> dict[str, Any]:
    """The record: every video's numbers, by row and training seed."""
    return {
        "schema": MECHANISM_SCHEMA,
        "scale": "tiny",
        "prompts": read_prompts(HELD_OUT_PROMPTS),
        "seconds": SECONDS,
        "window": WINDOW,
        "noise_seed": NOISE_SEED,
        "reference": REFERENCE,
        "trainings": [_training_facts(work, seed) for seed in seeds],
        "rows": [
            {
                "name": row.name, "label": row.label, "order": row.order, "context": row.context,
                "context_sigma": row.context_sigma,
                "trainings": [_measured(work / f"s{seed}", row) for seed in seeds],
            }
            for row in SAMPLINGS
        ],
        "provenance": provenance(),
    }  # fmt: skip


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


def _samplings(work: Path, seed: int) -> Iterator[Job]:
    """Videos of every row, their drift and their proxies."""
    folder = work / f"s{seed}"
    for row in SAMPLINGS:
        name, videos = f"s{seed}-{row.name}", str(folder / "videos" / row.name)
        sample = (
            "hiar", "sample", "--weights", str(folder / "model.safetensors"),
            "--prompts", str(HELD_OUT_PROMPTS), "--seconds", str(SECONDS),
            "--window", str(WINDOW), "--seed", str(NOISE_SEED), "--order", row.order,
            "--context", row.context, "--context-noise", repr(row.context_noise),
            "--batch-size", "16", "--out", videos,
        )  # fmt: skip
        score = (
            "drift", "score", videos, "--metrics", "fast", "--workers", "1",
            "--out", str(folder / "drift" / row.name),
        )  # fmt: skip
        seams = (
            "drift", "seams", videos, "--first", str(FIRST_FRAMES), "--block", str(BLOCK_FRAMES),
            "--metrics", SEAM_METRIC, "--out", str(folder / f"seams/{row.name}.json"),
        )  # fmt: skip
        measure = ("eval", "proxies", videos, "--out", str(folder / f"proxies/{row.name}.json"))
        jobs = (
            ("sample", sample, (), SAMPLING_S),
            ("score", score, (f"sample-{name}",), SCORING_S),
            ("seams", seams, (f"sample-{name}",), SEAMS_S),
            ("proxies", measure, (f"sample-{name}",), PROXIES_S),
        )
        for kind, words, needs, expected_s in jobs:
            yield Job(
                name=f"{kind}-{name}", kind=kind, argv=("{python}", "-m", *words), outputs=(),
                required_outputs=(), dependencies=needs, expected_s=expected_s,
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


def _measured(folder: Path, row: Sampling) -> dict[str, Any]:
    """The numbers of one training's videos of a row, in the order of the prompts."""
    drift = read_drift(folder / "drift" / row.name)
    proxies = read_proxies(folder / f"proxies/{row.name}.json").measures
    seams = read_record(folder / f"seams/{row.name}.json", Seams).videos
    ratios = {video.path: video.metrics[SEAM_METRIC].seam_ratio for video in seams}
    videos = sorted(drift.video_scores)
    return {
        "drift": [drift.video_scores[video] for video in videos],
        "noise_floor": {name: metric.noise_floor for name, metric in drift.metrics.items()},
        "mean_slope": {name: metric.mean_slope for name, metric in drift.metrics.items()},
        "proxies": {
            name: [measure.videos[video] for video in videos] for name, measure in proxies.items()
        },
        "seam_ratio": [ratios[video] for video in videos],
        "frames_sha256": frames_sha256(folder / "videos" / row.name),
    }
