"""Reads the JSON file beside a video: its prompt and its frame rate."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drift.video.resample import MAX_FPS


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """What a sidecar tells.

    Args:
        prompt: Prompt of the video, or empty.
        fps: Frames a second of the video; None if it tells none.
        data: Everything in it; empty if it cannot be read.
        warning: What is wrong with it, or empty.
    """

    prompt: str = ""
    fps: float | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    warning: str = ""


def text(name: str) -> str:
    """A file name or prompt as valid Unicode: bytes that are not valid become escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def read_sidecar(path: Path) -> Sidecar:
    """Reads a sidecar; one that is missing tells nothing."""
    if not path.is_file():  # reading a pipe would block
        odd = path.exists() or path.is_symlink()
        return Sidecar(warning="its sidecar is no file; the prompt is left empty" if odd else "")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"its sidecar cannot be read ({error.strerror}); the prompt is left empty"
        return Sidecar(warning=reason)
    except (ValueError, RecursionError) as error:
        return Sidecar(
            warning=f"sidecar {path.name} is not JSON ({error}); the prompt is left empty"
        )
    if not isinstance(data, dict):
        return Sidecar()
    prompt, fps = data.get("prompt"), data.get("fps")
    return Sidecar(
        prompt=text(prompt) if isinstance(prompt, str) else "",
        fps=_rate(fps),
        data=data,
        warning=""
        if fps is None or _rate(fps)
        else f"its sidecar says {fps!r} frames a second, which is no frame rate; it is not used",
    )


def _rate(fps: Any) -> float | None:
    is_number = isinstance(fps, int | float) and not isinstance(fps, bool)
    return float(fps) if is_number and 0 < fps <= MAX_FPS else None
