"""`frames.parquet`, from which all other files of a run can be rebuilt, and `videos.csv`."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drift.errors import UsageError
from drift.files import atomic_path, atomic_write_text
from drift.metrics.preset import Preset, preset_from_data, preset_v1
from drift.record.records import SUMMARY_SCHEMA
from drift.score.config import ScoreConfig
from drift.score.score import VideoScore
from drift.video.discover import cluster_name
from drift.video.sidecars import Schedule

FRAMES_FILE = "frames.parquet"
"""Name of the per-frame values in the folder of a run."""
MEDIA_COLUMNS = ("frames", "fps", "width", "height", "codec")
EXTRA_COLUMNS = ("score_floor", "cuts", "duration_s", "frozen")
TOLD_COLUMNS = ("sidecar_fps",)
BY_DISTANCE = "_by_distance"
"""Ending of the name of a metric's curve in `frames.parquet`, where `frame` is a distance."""
LEAD = "_lead"
"""Ending of the name of a metric's lead of a prompt over the one before it in `frames.parquet`."""
_METADATA_KEY = b"drift"
_Series = defaultdict[str, dict[str, list[float]]]  # video -> metric -> series
_ABOUT_A_VIDEO = (
    "path",
    "prompt",
    "status",
    "reason",
    "sha256",
    "media",
    "frozen",
    "blocks",
    "schedule",
)


@dataclass(frozen=True, kw_only=True)
class VideoRow:
    """One video of a run.

    Args:
        path: Name in results.
        prompt: Prompt of the video, or empty.
        status: `ok`, or one of `Status` in drift/video/media.py.
        reason: Why the status is not `ok`; empty if it is.
        sha256: Hash of the file.
        media: Fields of the video's `MediaInfo`; empty if it did not open.
        values: Metric -> raw per-frame values; empty unless the status is `ok`.
        frames: Metric -> frame index of each value, for metrics that skip frames. Value i of any
            other metric belongs to frame i.
        curves: Metric -> means over pairs of frames that lie 1, 2, ... frames apart, for metrics
            that compare frames.
        leads: Metric -> how far each measured frame is nearer to its prompt than to the one before
            that, for metrics that compare frames with prompts; empty unless the prompt changes.
        frozen: Whether its picture stands still over some segment; None if that is not known.
        blocks: Frames of its first block and of each later one, where its sidecar tells them.
        schedule: Prompts with the seconds from which they hold; empty unless the prompt changes.
    """

    path: str
    prompt: str
    status: str
    reason: str
    sha256: str
    media: Mapping[str, Any]
    values: Mapping[str, list[float]] = field(default_factory=dict)
    frames: Mapping[str, list[int]] = field(default_factory=dict)
    curves: Mapping[str, list[float]] = field(default_factory=dict)
    leads: Mapping[str, list[float]] = field(default_factory=dict)
    frozen: bool | None = None
    blocks: tuple[int, int] | None = None
    schedule: Schedule = ()

    @property
    def cluster(self) -> str:
        """Prompt, or the file name without one; videos of one cluster are resampled together."""
        return cluster_name(self.path, self.prompt)


@dataclass(frozen=True, kw_only=True)
class RunData:
    """Everything that was measured in a run; rows are sorted by path."""

    config: ScoreConfig
    rows: tuple[VideoRow, ...]
    passed_over: int
    warnings: tuple[str, ...]
    provenance: Mapping[str, Any]
    preset: Preset = field(default_factory=preset_v1)

    @property
    def versions(self) -> Mapping[str, int]:
        """Metric -> version that its values were measured with; a run may be too old to say."""
        versions: Mapping[str, int] = self.provenance.get("metric_versions", {})
        return versions


def write_frames(path: Path, run: RunData) -> None:
    """Writes the per-frame values, and everything else about the run as metadata of the file."""
    columns: dict[str, list[Any]] = {"video": [], "metric": [], "frame": [], "value": []}
    for row in run.rows:
        for ending, each in (("", row.values), (LEAD, row.leads), (BY_DISTANCE, row.curves)):
            for metric, series in each.items():
                frames = row.frames.get(metric, range(len(series)))
                distances = range(1, len(series) + 1)
                columns["video"] += [row.path] * len(series)
                columns["metric"] += [metric + ending] * len(series)
                columns["frame"] += distances if ending == BY_DISTANCE else frames
                columns["value"] += series
    about = {
        "schema": SUMMARY_SCHEMA,
        "config": asdict(run.config),
        "preset": asdict(run.preset),
        "passed_over": run.passed_over,
        "warnings": run.warnings,
        "provenance": run.provenance,
        "videos": [{name: getattr(row, name) for name in _ABOUT_A_VIDEO} for row in run.rows],
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
        UsageError: there is no such file, or another program or version wrote it.
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
    values, curves, leads = _Series(dict), _Series(dict), _Series(dict)
    frames: defaultdict[str, dict[str, list[int]]] = defaultdict(dict)
    for (video, metric), rows in table.to_pandas().groupby(["video", "metric"], sort=False):
        series, index = rows["value"].tolist(), rows["frame"].tolist()
        if metric.endswith(BY_DISTANCE):
            curves[video][metric.removesuffix(BY_DISTANCE)] = series
        elif metric.endswith(LEAD):
            leads[video][metric.removesuffix(LEAD)] = series
        else:
            values[video][metric] = series
            if index != list(range(len(index))):
                frames[video][metric] = index
    return RunData(
        config=ScoreConfig(**{k: _as_tuple(v) for k, v in about["config"].items()}),
        rows=tuple(
            VideoRow(
                **{key: _as_tuple(value) for key, value in row.items()},
                values=values[row["path"]],
                frames=frames[row["path"]],
                curves=curves[row["path"]],
                leads=leads[row["path"]],
            )
            for row in about["videos"]
        ),
        passed_over=about["passed_over"],
        warnings=tuple(about["warnings"]),
        provenance=about["provenance"],
        preset=preset_from_data(about["preset"]) if "preset" in about else preset_v1(),
    )


def _as_tuple(value: Any) -> Any:
    """Turns the lists of JSON back into the tuples of the settings."""
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list) else value


def write_videos(path: Path, run: RunData, scores: Sequence[VideoScore]) -> None:
    """Writes a row a video; a failed video has empty cells for what it lacks."""
    by_path = {score.path: score for score in scores}
    metrics = run.config.metrics
    invalid = "invalid" in run.provenance
    lines = [
        ["path", "prompt", "status", *MEDIA_COLUMNS]
        + [f"{metric}_{part}" for metric in metrics for part in ("slope", "drift")]
        + ["score", *EXTRA_COLUMNS, *TOLD_COLUMNS]
        + ["invalid"] * invalid
    ]
    for row in run.rows:
        cells: list[Any] = [row.path, row.prompt, row.status]
        cells += [row.media.get(column, "") for column in MEDIA_COLUMNS]
        score = by_path.get(row.path)
        if score is None:
            cells += [""] * (2 * len(metrics) + 1 + len(EXTRA_COLUMNS))
        else:
            for metric in metrics:
                cells += [score.metrics[metric].slope, score.metrics[metric].drift]
            duration_s = score.segment_s and score.segment_s * run.config.segments
            cells += [score.score, score.score_floor, len(score.cuts), duration_s]
            cells.append("" if row.frozen is None else str(row.frozen).lower())
        cells += [row.media.get(column, "") for column in TOLD_COLUMNS]
        cells += ["random weights"] * invalid
        lines.append(cells)
    atomic_write_text(path, "".join(map(_csv_line, lines)))


def _csv_line(cells: Sequence[Any]) -> str:
    """A line of CSV. The csv module quotes a carriage return only if its line ends hold one."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().removesuffix("\r\n") + "\n"
