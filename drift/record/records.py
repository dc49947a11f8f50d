"""The record of one video in a run's folder, and reading a summary; imports nothing heavy.

A record is named by content: `RUN/records/<sha256 of the video>.json`. It holds the video's
thumbnails, its per-frame values and what these depend on, so that a later run decodes only videos
with missing values.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from drift.files import atomic_write_text

RECORD_SCHEMA = "drift-record/3"
SUMMARY_SCHEMA = "drift/1"


@dataclass(frozen=True, kw_only=True)
class VideoRecord:
    """Measurements of one video, whatever its name.

    Args:
        sha256: Hash of the content: of the file, or of all pictures.
        status: `ok`, `truncated`, `unreadable` or `empty`. `too_short` depends on the number of
            segments, so it is decided later.
        reason: Why the status is not `ok`; empty if it is.
        media: Fields of `MediaInfo`, empty if the video did not open.
        keys: Metric -> what its values depend on besides the file.
        values: Metric -> per-frame values.
        curves: Metric -> means over pairs of frames that lie 1, 2, ... frames apart, for metrics
            that compare frames.
        leads: Metric -> how far each measured frame is nearer to its prompt than to the one before
            that, for metrics that compare frames with prompts; empty unless the prompt changes.
        fps: Rate at which frames were sampled; None for every frame.
        thumbnails: First, middle and last frame as WebP, in base 64, small.
        picture: The same frames large.
    """

    sha256: str
    status: str
    reason: str = ""
    media: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, list[float]] = field(default_factory=dict)
    curves: Mapping[str, list[float]] = field(default_factory=dict)
    leads: Mapping[str, list[float]] = field(default_factory=dict)
    fps: float | None = None
    thumbnails: str = ""
    picture: str = ""


def record_path(run: Path, sha256: str, fps: float | None = None) -> Path:
    """Path of the record of a video with this content, sampled at this rate."""
    return run / "records" / (f"{sha256}.json" if fps is None else f"{sha256}-{fps:g}fps.json")


def save_record(run: Path, record: VideoRecord) -> None:
    """Writes a record of status `ok`; a broken video gets none, so it is tried again next time."""
    text = json.dumps({"schema": RECORD_SCHEMA, **asdict(record)}, allow_nan=False)
    atomic_write_text(record_path(run, record.sha256, record.fps), text)


def load_record(run: Path, sha256: str, fps: float | None = None) -> VideoRecord | None:
    """Reads the record of a video with this content; None if there is none that can be used."""
    try:
        data = json.loads(record_path(run, sha256, fps).read_text(encoding="utf-8"))
        if data.pop("schema") != RECORD_SCHEMA or (data["sha256"], data["fps"]) != (sha256, fps):
            return None
        record = VideoRecord(**data)
        return record if record.status == "ok" else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a record is only a cache: the video is measured again


def load_records(run: Path, contents: Iterable[str], fps: float | None) -> Iterator[VideoRecord]:
    """Those records with these content hashes that the run still has."""
    for sha256 in set(contents):
        record = load_record(run, sha256, fps)
        if record is not None:
            yield record


def read_summary(run: Path) -> dict[str, Any]:
    """Reads `RUN/summary.json`.

    Raises:
        FileNotFoundError: the folder holds no summary.
        ValueError: the file has another schema than the one that this version reads.
    """
    path = run / "summary.json"
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if data.get("schema") != SUMMARY_SCHEMA:
        raise ValueError(f"{path} has schema {data.get('schema')!r}; expected {SUMMARY_SCHEMA!r}")
    return data
