"""Files of a run: atomic writes, the record of one video, and reading a summary. Light imports.

A record is kept by content: `RUN/records/<sha256 of the file>.json`. It holds per-frame values and
what they depend on, so a later run decodes only what is missing, and the video's thumbnails.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from drift.files import atomic_write_text

RECORD_SCHEMA = "drift-record/2"
SUMMARY_SCHEMA = "drift/1"


@dataclass(frozen=True, kw_only=True)
class VideoRecord:
    """What was measured on one video file, whatever its name.

    Args:
        sha256: Hash of the file.
        status: `ok`, `truncated`, `unreadable` or `empty`; `too_short` depends on the number of
            segments and is decided later.
        reason: Why the status is not `ok`, else empty.
        media: Fields of `MediaInfo`, empty if the video did not open.
        keys: Metric -> what its values depend on besides the file.
        values: Metric -> per-frame values.
        fps: Rate at which frames were sampled; None for every frame.
        thumbnails: First, middle and last frame as WebP, in base 64.
    """

    sha256: str
    status: str
    reason: str = ""
    media: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, list[float]] = field(default_factory=dict)
    fps: float | None = None
    thumbnails: str = ""


def record_path(run: Path, sha256: str, fps: float | None = None) -> Path:
    """Where the record of a video of this content, sampled at this rate, is kept."""
    return run / "records" / (f"{sha256}.json" if fps is None else f"{sha256}-{fps:g}fps.json")


def save_record(run: Path, record: VideoRecord) -> None:
    """Writes a record of status `ok`; a broken video is tried again next time."""
    text = json.dumps({"schema": RECORD_SCHEMA, **asdict(record)}, allow_nan=False)
    atomic_write_text(record_path(run, record.sha256, record.fps), text)


def load_record(run: Path, sha256: str, fps: float | None = None) -> VideoRecord | None:
    """Reads the record of a video of this content; None if there is none that can be used."""
    try:
        data = json.loads(record_path(run, sha256, fps).read_text(encoding="utf-8"))
        if data.pop("schema") != RECORD_SCHEMA or (data["sha256"], data["fps"]) != (sha256, fps):
            return None
        record = VideoRecord(**data)
        return record if record.status == "ok" else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it is only a cache: the video is measured again


def load_thumbnails(run: Path, contents: Iterable[str], fps: float | None) -> dict[str, str]:
    """Thumbnails of the videos of these hashes, as far as the run still has their records."""
    records = (load_record(run, sha256, fps) for sha256 in set(contents))
    return {record.sha256: record.thumbnails for record in records if record is not None}


def read_summary(run: Path) -> dict[str, Any]:
    """Reads `RUN/summary.json`.

    Raises:
        FileNotFoundError: the folder holds no summary.
        ValueError: it is not a summary of the schema this version reads.
    """
    path = run / "summary.json"
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if data.get("schema") != SUMMARY_SCHEMA:
        raise ValueError(f"{path} has schema {data.get('schema')!r}; expected {SUMMARY_SCHEMA!r}")
    return data
