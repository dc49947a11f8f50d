"""The JSON beside a video, which says how it was made and vouches that it is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_sidecar(video: Path) -> dict[str, Any] | None:
    """What stands beside a video; None unless both are there and the video has the size it says."""
    try:
        size = video.stat().st_size
        found = json.loads(video.with_suffix(".json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("video_bytes") != size:
        return None
    return found
