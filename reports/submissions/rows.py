"""The rows of the page, read from the records of all submissions."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.submissions.submission import RECORDS, Submission, read_record

# `hiar bench` counts latent frames; a block of 3 of them is 12 frames of the video.
FRAMES_PER_BLOCK = 12
NOT_MEASURED = "–"


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """The quality of one run.

    Attributes:
        submission: Name of the submission.
        scale: "tiny" or "paper".
        label: Label of the run.
        trained_s: Length of the videos that the model was trained on; None if not known.
        evaluated_s: Length of the videos that were scored.
        videos: Number of videos, each of its own prompt and seed.
        failed: Number of videos that could not be scored.
        drift: Drift score and its 95 % interval.
        metrics: Metrics that the drift score is made of.
        quality: VBench's Quality; None where VBench was not run.
        dynamic: Dynamic degree with its unit; empty where it was not measured.
    """

    submission: str
    scale: str
    label: str
    trained_s: float | None
    evaluated_s: float
    videos: int
    failed: int
    drift: tuple[float, float, float]
    metrics: tuple[str, ...]
    quality: float | None
    dynamic: str


@dataclass(frozen=True, kw_only=True)
class SpeedRow:
    """The speed of one order or model.

    Attributes:
        submission: Name of the submission.
        scale: "tiny" or "paper".
        what: Order of the sampler, or model.
        cards: GPUs, or processes where there is no GPU.
        passes: Passes of the transformer for each block; None if not known.
        steady_fps: Frames of a block over the time of a block with a full window.
        whole_fps: Frames of the video over the transformer's time for the whole of it, filling and
            draining included.
        end_to_end_fps: The same with decoding; None where that was not measured.
        counted: What the record says is inside the time.
    """

    submission: str
    scale: str
    what: str
    cards: str
    passes: float | None
    steady_fps: float | None
    whole_fps: float
    end_to_end_fps: float | None
    counted: str


def model_rows(found: Iterable[tuple[Path, Submission]]) -> list[ModelRow]:
    """Rows of quality, in the order of the submissions."""
    return [row for folder, submission in found for row in _model_rows(folder, submission)]


def _model_rows(folder: Path, submission: Submission) -> Iterator[ModelRow]:
    records = folder / RECORDS
    labels = _labels(records)
    for path in sorted(records.glob("drift/*/summary.json")):
        run, summary = path.parent.name, read_record(path)
        score = summary["drift_score"]
        yield ModelRow(
            submission=submission.name,
            scale=submission.scale,
            label=labels.get(run, run),
            trained_s=submission.trained_s.get(run),
            evaluated_s=_seconds(path.with_name("videos.csv")),
            videos=summary["videos"],
            failed=len(summary["failed"]),
            drift=(score["value"], *score["ci95"]),
            metrics=tuple(summary["metrics"]),
            quality=_quality(records / "vbench" / f"{run}.json"),
            dynamic=_dynamic(records, run),
        )


def _labels(records: Path) -> dict[str, str]:
    """Label of each scored run, from the tables that show its drift."""
    labels: dict[str, str] = {}
    for path in sorted(records.glob("tables/*.json")):
        for row in read_record(path)["rows"]:
            job = row["cells"].get("drift", {}).get("measured", {}).get("job") or ""
            if job.startswith("score-"):
                labels.setdefault(job.removeprefix("score-"), row["label"])
    return labels


def _seconds(path: Path) -> float:
    """Median duration of the scored videos."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "ok"]
    return statistics.median(int(row["frames"]) / float(row["fps"]) for row in rows)


def _quality(path: Path) -> float | None:
    return read_record(path)["quality"] if path.is_file() else None


def _dynamic(records: Path, run: str) -> str:
    vbench, proxies = records / "vbench" / f"{run}.json", records / "proxies" / f"{run}.json"
    if vbench.is_file():
        found = read_record(vbench)["dimensions"].get("dynamic_degree")
        return f"{found['raw']:.3f}" if found else ""
    if proxies.is_file():
        found = read_record(proxies)["measures"].get("dynamic_degree")
        return f"{found['mean']:.2f} {found['unit']} (tiny proxy)" if found else ""
    return ""


def speed_rows(found: Iterable[tuple[Path, Submission]]) -> list[SpeedRow]:
    """Rows of speed, in the order of the submissions."""
    return [row for folder, submission in found for row in _speed_rows(folder, submission)]


def _speed_rows(folder: Path, submission: Submission) -> Iterator[SpeedRow]:
    records = folder / RECORDS
    for path in [records / "bench.json"] * (records / "bench.json").is_file():
        record = read_record(path)
        for row in record["rows"]:
            yield _bench_row(submission, row, record["counted"])
    for path in sorted(records.glob("timing/*.json")):
        record = read_record(path)
        for row in record["rows"]:
            yield SpeedRow(
                submission=submission.name,
                scale=submission.scale,
                what=row["model"],
                cards="1 GPU",
                passes=row.get("passes_per_chunk"),
                steady_fps=row["throughput_fps"],
                whole_fps=row["throughput_fps"],
                end_to_end_fps=None,
                counted=str(row.get("counted", record.get("counted", "not said"))),
            )


def _bench_row(submission: Submission, row: dict[str, Any], counted: str) -> SpeedRow:
    gpus, ranks = row["gpus"], row.get("ranks", 1)
    interval = row.get("interval_p50_s") or row.get("latency_s")
    return SpeedRow(
        submission=submission.name,
        scale=submission.scale,
        what=row["order"],
        cards=f"{gpus} GPU{'s' * (gpus > 1)}"
        if gpus
        else f"CPU, {ranks} process{'es' * (ranks > 1)}",
        passes=row.get("passes_per_block"),
        steady_fps=FRAMES_PER_BLOCK / interval if interval else None,
        whole_fps=row["throughput_fps"],
        end_to_end_fps=row.get("end_to_end_fps"),
        counted=counted,
    )
