"""Rows of a tiny study as jobs: sample each from every training's weights, score, gather.

The folder of a seed holds `videos/<row>`, `drift/<row>`, `seams/<row>.json` and
`proxies/<row>.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hiar.codecs.prompts import read_prompts
from hiar.runtime.provenance import provenance
from hiar.tiny.mechanism import Sampling
from hiar.tiny.preset import HELD_OUT_PROMPTS
from reports.plan.jobs import Job
from reports.records.drift_record import read_drift
from reports.records.record_files import read_record, schema_of
from reports.records.study_record import StudyRecord
from reports.records.vbench_records import read_proxies
from reports.records.video_records import frames_sha256
from reports.schemas.drift_records import Seams

SECONDS, WINDOW, NOISE_SEED = 20, 21, 0
"""Length of the videos, latent frames visible, seed of the noise: as in preset `tiny`."""
FIRST_FRAMES, BLOCK_FRAMES = 9, 12
"""Frames of the first block of three latent frames, and of every later one."""
SEAM_METRIC = "difference"
NUM_HASHED = len(read_prompts(HELD_OUT_PROMPTS))
"""Videos whose frames a row's hash is of: those that a reproduction samples anew."""
SAMPLING_S, SCORING_S, SEAMS_S, PROXIES_S = 25.0, 18.0, 4.0, 6.0
"""Seconds of each job on one core, to begin an estimate with."""


def sampling_jobs(
    folder: Path, row: Sampling, weights: Path, prompts: Path = HELD_OUT_PROMPTS
) -> Iterator[Job]:
    """Videos of a row, their drift, their seams and their proxies.

    Args:
        folder: Folder of a seed.
        row: The row.
        weights: Weights of its model.
        prompts: File of the prompts.
    """
    name, videos = f"{folder.name}-{row.name}", str(folder / "videos" / row.name)
    sample = (
        "hiar", "sample", "--weights", str(weights), "--prompts", str(prompts),
        "--seconds", str(SECONDS), "--window", str(WINDOW), "--seed", str(NOISE_SEED),
        "--order", row.order, "--context", row.context,
        "--context-noise", repr(row.context_noise), "--batch-size", "16", "--out", videos,
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


def gather(
    kind: type[StudyRecord],
    rows: Sequence[Sampling],
    folder_of: Callable[[int], Path],
    seeds: Sequence[int],
    trainings: Sequence[dict[str, Any]],
    prompts: Path = HELD_OUT_PROMPTS,
) -> dict[str, Any]:
    """The record: every video's numbers, by row and training seed.

    Args:
        kind: Which of the two records.
        rows: Rows that were sampled; the first is the one that changes are relative to.
        folder_of: Function from a seed to its folder.
        seeds: Training seeds.
        trainings: How each model was trained.
        prompts: File of the prompts.
    """
    return {
        "schema": schema_of(kind),
        "scale": "tiny",
        "prompts": read_prompts(prompts),
        "seconds": SECONDS,
        "window": WINDOW,
        "noise_seed": NOISE_SEED,
        "reference": rows[0].name,
        "trainings": list(trainings),
        "rows": [
            {
                "name": row.name, "label": row.label, "order": row.order, "context": row.context,
                "context_sigma": row.context_sigma, "model": row.model,
                "trainings": [_measured(folder_of(seed), row) for seed in seeds],
            }
            for row in rows
        ],
        "provenance": provenance(),
    }  # fmt: skip


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
        "frames_sha256": frames_sha256(folder / "videos" / row.name, NUM_HASHED),
    }
