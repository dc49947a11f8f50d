"""`frames.parquet`, from which everything else of a run can be rebuilt, and `videos.csv`."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drift.config import ScoreConfig
from drift.discover import cluster_name
from drift.errors import UsageError
from drift.records import SUMMARY_SCHEMA, atomic_path, atomic_write_text
from drift.score import VideoScore

MEDIA_COLUMNS = ("frames", "fps", "width", "height", "codec")
_METADATA_KEY = b"drift"


@dataclass(frozen=True, kw_only=True)
class VideoRow:
    """One video of a run.

    Args:
        path: Name in results.
        prompt: Its prompt, or empty.
        status: `ok`, `truncated`, `unreadable`, `empty` or `too_short`.
        reason: Why the status is not `ok`, else empty.
        sha256: Hash of the file.
        media: Fields of `MediaInfo`, empty if the video did not open.
        values: Metric -> raw per-frame values; empty unless the status is `ok`.
    """

    path: str
    prompt: str
    status: str
    reason: str
    sha256: str
    media: Mapping[str, Any]
    values: Mapping[str, list[float]] = field(default_factory=dict)

    @property
    def cluster(self) -> str:
        """Videos of one cluster are resampled together."""
        return cluster_name(self.path, self.prompt)


@dataclass(frozen=True, kw_only=True)
class RunData:
    """All that was measured in a run; rows sorted by path."""

    config: ScoreConfig
    rows: tuple[VideoRow, ...]
    passed_over: int
    warnings: tuple[str, ...]
    provenance: Mapping[str, Any]


def write_frames(path: Path, run: RunData) -> None:
    """Writes the per-frame values, with all else of the run in the file's metadata."""
    columns: dict[str, list[Any]] = {"video": [], "metric": [], "frame": [], "value": []}
    for row in run.rows:
        for metric, series in row.values.items():
            columns["video"] += [row.path] * len(series)
            columns["metric"] += [metric] * len(series)
            columns["frame"] += range(len(series))
            columns["value"] += series
    about = {
        "schema": SUMMARY_SCHEMA,
        "config": asdict(run.config),
        "passed_over": run.passed_over,
        "warnings": run.warnings,
        "provenance": run.provenance,
        "videos": [{k: v for k, v in asdict(row).items() if k != "values"} for row in run.rows],
    }
    types = {
        "video": pa.string(),
        "metric": pa.string(),
        "frame": pa.int64(),
        "value": pa.float64(),
    }
    schema = pa.schema(
        types,
        metadata={_METADATA_KEY: json.dumps(about, allow_nan=False).encode()},
    )
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary)


def read_frames(path: Path) -> RunData:
    """Reads what `write_frames` wrote.

    Raises:
        UsageError: there is no such file, or this version did not write it.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file; give a folder that `drift score --out` wrote")
    try:
        table = pq.read_table(path)
        about = json.loads(table.schema.metadata[_METADATA_KEY])
    except (pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path} is no frames file of a drift run ({error}); score again"
        ) from None
    if about["schema"] != SUMMARY_SCHEMA:
        raise UsageError(f"{path} has schema {about['schema']!r}, not {SUMMARY_SCHEMA!r}")
    values: dict[str, dict[str, list[float]]] = {}
    columns = (table.column(name).to_pylist() for name in ("video", "metric", "value"))
    for video, metric, value in zip(*columns, strict=True):
        values.setdefault(video, {}).setdefault(metric, []).append(value)
    config = about["config"]
    return RunData(
        config=ScoreConfig(metrics=tuple(config["metrics"]), segments=config["segments"]),
        rows=tuple(VideoRow(**row, values=values.get(row["path"], {})) for row in about["videos"]),
        passed_over=about["passed_over"],
        warnings=tuple(about["warnings"]),
        provenance=about["provenance"],
    )


def write_videos(path: Path, run: RunData, scores: Sequence[VideoScore]) -> None:
    """Writes a row a video; what a failed video lacks is an empty cell."""
    by_path = {score.path: score for score in scores}
    metrics = run.config.metrics
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["path", "prompt", "status", *MEDIA_COLUMNS]
        + [f"{metric}_{part}" for metric in metrics for part in ("slope", "drift")]
        + ["score"]
    )
    for row in run.rows:
        cells: list[Any] = [row.path, row.prompt, row.status]
        cells += [row.media.get(column, "") for column in MEDIA_COLUMNS]
        score = by_path.get(row.path)
        if score is None:
            cells += [""] * (2 * len(metrics) + 1)
        else:
            for metric in metrics:
                cells += [score.metrics[metric].slope, score.metrics[metric].drift]
            cells.append(score.score)
        writer.writerow(cells)
    atomic_write_text(path, buffer.getvalue())
