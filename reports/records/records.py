"""The measured records, typed: drift summaries, benchmark rows, sampled videos."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drift.record.records import read_summary
from reports.records.record_files import read_json

BENCH_SCHEMA = "bench/1"
RUN_SCHEMA = "hiar-run/1"


@dataclass(frozen=True, kw_only=True)
class MetricCurve:
    """A metric over the segments of a run: mean and 95 % interval over videos.

    `mean_slope`, with its 95 % interval, and `mean_abs_slope` are over videos; `noise_floor` is
    what the latter would be had each video's segments come in random order. All are per segment,
    in `unit`.
    """

    unit: str
    means: tuple[float, ...]
    ci95: tuple[tuple[float, float], ...]
    mean_slope: float
    mean_slope_ci95: tuple[float, float]
    mean_abs_slope: float
    noise_floor: float


@dataclass(frozen=True, kw_only=True)
class DriftRecord:
    """One run's drift score.

    Attributes:
        value: Drift score, 0 to 1.
        ci95: Bootstrap interval over prompts.
        videos: Number of videos that were scored.
        partial: Whether metrics of the preset are missing.
        preset: sha256 of the metrics' scales and weights; scores of two presets do not compare.
        metrics: What was measured, by metric.
        video_scores: Score by video file name, for paired comparisons.
    """

    run: str
    value: float
    ci95: tuple[float, float]
    videos: int
    segments: int
    partial: bool
    missing_metrics: tuple[str, ...]
    preset: str
    metrics: Mapping[str, MetricCurve]
    video_scores: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class BenchRecord:
    """One row of the speed measurement.

    Attributes:
        ranks: Processes that shared a video.
        repeats: How many runs the numbers are a median of.
        seconds_range: Fastest and slowest of them, over the median; None where one ran.
    """

    order: str
    throughput_fps: float
    latency_s: float
    passes_per_block: float
    ranks: int = 1
    repeats: int = 1
    seconds_range: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class VideoRecord:
    """One sampled video and what it was sampled from."""

    path: Path
    prompt: str
    prompt_index: int
    seed: int
    num_frames: int
    fps: float
    model: Mapping[str, Any]


def video_record(folder: Path, data: Mapping[str, Any]) -> VideoRecord:
    """The video of a folder that a sidecar tells of."""
    return VideoRecord(
        path=folder / data["video"],
        prompt=data["prompt"],
        prompt_index=int(data["prompt_index"]),
        seed=int(data["seed"]),
        num_frames=int(data["num_frames"]),
        fps=float(data["fps"]),
        model=data["model"],
    )


def read_drift(folder: Path) -> DriftRecord:
    """Reads the score of one run from the folder that `drift score` wrote."""
    data = read_summary(folder)
    score = data["drift_score"]
    low, high = score["ci95"]
    scores = {
        Path(row["path"]).name: float(row["score"])
        for row in _read_csv(folder / "videos.csv")
        if row["score"]
    }
    return DriftRecord(
        run=folder.name,
        value=float(score["value"]),
        ci95=(float(low), float(high)),
        videos=int(data["scored"]),
        segments=int(data["segments"]),
        partial=bool(score["partial"]),
        missing_metrics=tuple(score["missing_metrics"]),
        preset=data["preset"]["sha256"],
        metrics={name: _curve(metric) for name, metric in data["metrics"].items()},
        video_scores=scores,
    )


def _curve(metric: Mapping[str, Any]) -> MetricCurve:
    return MetricCurve(
        unit=metric["unit"],
        means=tuple(metric["segment_means"]),
        ci95=tuple((low, high) for low, high in metric["segment_ci95"]),
        mean_slope=float(metric["mean_slope"]),
        mean_slope_ci95=(float(metric["ci95"][0]), float(metric["ci95"][1])),
        mean_abs_slope=float(metric["mean_abs_slope"]),
        noise_floor=float(metric["noise_floor"]),
    )


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def read_bench(path: Path) -> dict[str, BenchRecord]:
    """Reads the benchmark's single-device rows, by order."""
    data = read_json(path, BENCH_SCHEMA)
    return {
        row["order"]: BenchRecord(
            order=row["order"],
            throughput_fps=float(row["throughput_fps"]),
            latency_s=float(row["latency_s"]),
            passes_per_block=float(row["passes_per_block"]),
            ranks=int(row.get("ranks", 1)),
            repeats=int(row.get("repeats", 1)),
            seconds_range=_spread(row),
        )
        for row in data["rows"]
    }


def _spread(row: Mapping[str, Any]) -> tuple[float, float] | None:
    if row.get("repeats", 1) < 2:
        return None
    low, high = (float(bound) / float(row["seconds"]) for bound in row["seconds_range"])
    return low, high


def read_videos(folder: Path) -> list[VideoRecord]:
    """Reads the sidecars of one run, in prompt order."""
    index = read_json(folder / "run.json", RUN_SCHEMA)
    sidecars = [json.loads((folder / name).read_text(encoding="utf-8")) for name in index["videos"]]
    videos = [video_record(folder, data) for data in sidecars if data.get("sample_index", 0) == 0]
    return sorted(videos, key=lambda video: video.prompt_index)
