"""Reads the JSON file beside a video: its prompts and its frame rate."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from drift.video.resample import MAX_FPS

Schedule: TypeAlias = tuple[tuple[float, str], ...]
"""Prompts of a video in order: the second from which each holds, 0 for the first, and its text."""


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """What a sidecar tells.

    Args:
        schedule: Prompts of the video; empty if it tells none.
        fps: Frames a second of the video; None if it tells none.
        data: Everything in it; empty if it cannot be read.
        warning: What is wrong with it, or empty.
    """

    schedule: Schedule = ()
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
    fps, warning = data.get("fps"), ""
    if fps is not None and _rate(fps) is None:
        warning = (
            f"its sidecar says {fps!r} frames a second, which is no frame rate; it is not used"
        )
    try:
        schedule = _schedule(data)
    except (TypeError, KeyError, ValueError) as error:
        schedule, warning = (), f"the prompts of its sidecar are not used: {error}"
    return Sidecar(schedule=schedule, fps=_rate(fps), data=data, warning=warning)


def ordered(prompts: Iterable[tuple[float, str]]) -> Schedule:
    """Prompts in the order of their seconds.

    Raises:
        ValueError: the first does not begin at 0, or a second is none or stands twice.
    """
    schedule = tuple(sorted(prompts))
    starts = [start for start, _ in schedule]
    if not all(map(math.isfinite, starts)) or starts[:1] != [0] or len({*starts}) < len(starts):
        seconds = ", ".join(f"{start:g}" for start in starts)
        raise ValueError(f"they begin at {seconds} s; begin the first at 0 and each later than 0")
    return schedule


def in_words(schedule: Schedule) -> str:
    """The prompts in one line, which is the prompt itself if there is one; empty for none."""
    later = [f"from {start:g} s: {prompt}" for start, prompt in schedule[1:]]
    return "; ".join([prompt for _, prompt in schedule[:1]] + later)


def _schedule(data: Mapping[str, Any]) -> Schedule:
    """The prompts of a sidecar: `prompt`, or several with their seconds under `prompts`."""
    prompts, prompt = data.get("prompts"), data.get("prompt")
    if isinstance(prompts, list) and all(isinstance(entry, dict) for entry in prompts) and prompts:
        return ordered((float(entry["start_s"]), text(str(entry["prompt"]))) for entry in prompts)
    return ((0.0, text(prompt)),) if isinstance(prompt, str) and prompt else ()


def _rate(fps: Any) -> float | None:
    is_number = isinstance(fps, int | float) and not isinstance(fps, bool)
    return float(fps) if is_number and 0 < fps <= MAX_FPS else None
