"""The drift score of one run, as `drift score` writes it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from drift.errors import UsageError
from reports.records.record_files import read_record
from reports.schemas.drift_records import MetricSummary, ShortSeam, Summary


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
        seam: How much more frames change where two blocks meet than elsewhere; None where the
            videos have no blocks.
    """

    run: str
    value: float
    ci95: tuple[float, float]
    videos: int
    segments: int
    partial: bool
    missing_metrics: tuple[str, ...]
    preset: str
    metrics: Mapping[str, MetricSummary]
    video_scores: Mapping[str, float]
    seam: ShortSeam | None = None


def read_drift(folder: Path) -> DriftRecord:
    """Reads the score of one run from the folder that `drift score` wrote."""
    summary = read_record(folder / "summary.json", Summary)
    score = summary.drift_score
    if score.value is None or score.ci95 is None:
        raise UsageError(f"{folder}: no video of this run was scored; see its summary.json")
    scores = {
        Path(row["path"]).name: float(row["score"])
        for row in _read_csv(folder / "videos.csv")
        if row["score"]
    }
    return DriftRecord(
        run=folder.name,
        value=score.value,
        ci95=score.ci95,
        videos=summary.scored,
        segments=summary.segments,
        partial=score.partial,
        missing_metrics=score.missing_metrics,
        preset=summary.preset.sha256,
        metrics=summary.metrics,
        video_scores=scores,
        seam=summary.seams.metrics.get("difference") if summary.seams else None,
    )


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
