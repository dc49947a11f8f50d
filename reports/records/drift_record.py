"""The drift score of one run, as `drift score` writes it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drift.record.records import read_summary


@dataclass(frozen=True, kw_only=True)
class MetricCurve:
    """A metric over the segments of a run. Slopes and the floor are in `unit` per segment.

    Attributes:
        means: Mean over videos, by segment.
        ci95: 95 % interval of each mean.
        mean_slope: Mean over videos of the fitted slope.
        mean_slope_ci95: 95 % interval of the mean slope.
        mean_abs_slope: Mean over videos of the slope's absolute value.
        noise_floor: What `mean_abs_slope` would be if each video's segments came in random order.
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
        ci95: 95 % bootstrap interval over prompts.
        videos: Number of videos that were scored.
        partial: Whether metrics of the preset are missing.
        preset: sha256 of the metrics' scales and weights; scores of two presets do not compare.
        metrics: Curves by metric.
        video_scores: Scores by the name of the video file, for paired comparisons.
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
