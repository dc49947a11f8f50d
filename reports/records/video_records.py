"""The videos that sampling jobs made, read from the JSON beside each video."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drift.errors import UsageError

VIDEO_SCHEMAS = ("hiar-sample/1", "baselines-video/1")
"""Schemas of the JSON that `hiar sample` and `hiar-baselines generate` write beside a video."""


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


def read_sidecars(folders: Iterable[Path]) -> list[VideoRecord]:
    """Reads the videos of some folders, in the order of prompts and seeds.

    Raises:
        UsageError: A sidecar is of a schema that this version does not read.
    """
    videos = [
        _read(path)
        for folder in folders
        for path in sorted(folder.glob("*.json"))
        if path.name != "run.json" and path.with_suffix(".mp4").is_file()
    ]
    return sorted(videos, key=lambda video: (video.prompt_index, video.seed))


def frames_sha256(folder: Path, first: int | None = None) -> str:
    """One hash of all frames in a folder of videos: of their sidecars' hashes, by file name.

    Args:
        folder: Folder of the videos.
        first: How many of them count, the first; None is all.
    """
    sidecars = [path for path in sorted(folder.glob("*.json")) if path.name != "run.json"][:first]
    hashes = [json.loads(path.read_text(encoding="utf-8"))["frames_sha256"] for path in sidecars]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _read(path: Path) -> VideoRecord:
    data = json.loads(path.read_text(encoding="utf-8"))
    if data.get("schema") not in VIDEO_SCHEMAS:
        known = " and ".join(VIDEO_SCHEMAS)
        raise UsageError(
            f"{path}: schema is {data.get('schema')!r}; this version reads {known}: make the "
            "video again"
        )
    return VideoRecord(
        path=path.parent / data["video"],
        prompt=data["prompt"],
        prompt_index=int(data["prompt_index"]),
        seed=int(data["seed"]),
        num_frames=int(data["num_frames"]),
        fps=float(data["fps"]),
        model=data["model"],
    )
