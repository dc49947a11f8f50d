"""The videos that sampling jobs made, from the JSON beside each, whichever command made them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from reports.records.record_files import RecordError
from reports.records.records import VideoRecord, video_record

VIDEO_SCHEMAS = ("hiar-sample/1", "baselines-video/1")


def read_sidecars(folders: Iterable[Path]) -> list[VideoRecord]:
    """Reads the videos of some folders, first samples only, in the order of prompts and seeds.

    Raises:
        RecordError: When a sidecar is of a schema that this version does not read.
    """
    videos = [
        _read(path)
        for folder in folders
        for path in sorted(folder.glob("*.json"))
        if path.name != "run.json" and path.with_suffix(".mp4").is_file()
    ]
    return sorted(videos, key=lambda video: (video.prompt_index, video.seed))


def _read(path: Path) -> VideoRecord:
    data = json.loads(path.read_text(encoding="utf-8"))
    if data.get("schema") not in VIDEO_SCHEMAS:
        known = " and ".join(VIDEO_SCHEMAS)
        raise RecordError(
            f"{path}: schema is {data.get('schema')!r}; this version reads {known}: make the "
            "video again"
        )
    return video_record(path.parent, data)
