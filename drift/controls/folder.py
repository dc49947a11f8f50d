"""Writes the controls of every video of a folder; what is there already is kept.

`OUT/<control>/<video>.mp4` has a sidecar beside it that says source, control and dose.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from drift.controls.control import SHUFFLED, Control
from drift.controls.degradations import Frame
from drift.controls.orders import SEGMENT_ORDER
from drift.errors import UsageError
from drift.files import atomic_write_text, dump_json, remove_leftovers
from drift.run.pool import in_workers
from drift.video.content import content_sha256
from drift.video.decode import open_video
from drift.video.discover import VideoFile, find_videos
from drift.video.encode import ENCODING, write_mp4
from drift.video.media import BrokenVideoError
from drift.video.pictures import ASSUMED_FPS
from drift.video.resample import as_rate

SCHEMA = "drift-control/1"
VERSION = 1
"""Goes up whenever a control's frames would change; older videos are then written again."""

MAX_TICKS = 100_000
"""Largest denominator of a control's rate: 29.97 frames a second become 30000 / 1001."""

OnVideo = Callable[[str, int], None]
"""Called when the controls of a video are written, with its name and the number of videos."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """The controls of one source.

    Args:
        source: Name of the source in its folder.
        num_new: Videos written now.
        num_kept: Videos that were there already.
    """

    source: str
    num_new: int
    num_kept: int


def write_controls(
    sources: Sequence[Path],
    out: Path,
    controls: Sequence[Control],
    *,
    seconds: float | None = None,
    recursive: bool = False,
    workers: int = 1,
    on_video: OnVideo = lambda *_: None,
) -> list[Written]:
    """Writes the controls of every video of some folders.

    Args:
        sources: Folders of videos, and videos.
        out: Folder of the controls.
        controls: What to do to each video.
        seconds: Take only the first seconds of each video; None takes it whole.
        recursive: Look in sub-folders too.
        workers: Processes; each treats one video at a time and changes no result.
        on_video: Called after each video.

    Returns:
        What was written, a source after the other.

    Raises:
        UsageError: there is no video, one cannot be read, or two of them have one name without
            suffix.
    """
    if seconds is not None and not seconds > 0:
        raise UsageError(f"seconds is {seconds:g}; it must be above 0")
    found = find_videos(sources, recursive=recursive, skip=out).videos
    _check_names([video.path for video in found])
    remove_leftovers(*(out / control.folder for control in controls))
    work = partial(_write_one, out=out, controls=tuple(controls), seconds=seconds)
    written = {}
    for one in in_workers(work, found, workers):
        written[one.source] = one
        on_video(one.source, len(found))
    return [written[video.path] for video in found]


def _check_names(paths: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for path in paths:
        first = seen.setdefault(control_name(path), path)
        if first != path:
            raise UsageError(f"{first} and {path} have one name without suffix; rename one")


def control_name(path: str) -> str:
    """Name of the control of a source of that name."""
    return str(PurePosixPath(path).with_suffix(".mp4"))


def _write_one(
    source: VideoFile, *, out: Path, controls: Sequence[Control], seconds: float | None
) -> Written:
    """Writes the controls of one video that are not there yet; decodes it once, if at all."""
    about = {
        "schema": SCHEMA,
        "version": VERSION,
        "source": source.path,
        "source_sha256": content_sha256(source.file),
        "seconds": seconds,
        "encoding": ENCODING,
        **({"prompt": source.prompt} if source.prompt else {}),
    }
    wanted = {out / c.folder / control_name(source.path): c for c in controls}
    missing = {path: c for path, c in wanted.items() if not _is_there(path, _facts(about, c))}
    if missing:
        try:
            with _decoded(source.file, out, seconds) as (frames, rate):
                _check_length(len(frames), missing.values())
                for path, control in missing.items():
                    _write_control(path, _facts(about, control), control, frames, rate)
        except BrokenVideoError as error:
            raise UsageError(
                f"{source.path}: {error.status}: {error.reason}; leave it out"
            ) from None
    return Written(source=source.path, num_new=len(missing), num_kept=len(wanted) - len(missing))


def _check_length(num_frames: int, controls: Iterable[Control]) -> None:
    """Refuses a video without a frame for each of the fifths that are to be shuffled."""
    fifths = len(SEGMENT_ORDER)
    if num_frames < fifths and any(control.name == SHUFFLED for control in controls):
        raise BrokenVideoError("too_short", f"{num_frames} frames; {fifths} are needed to shuffle")


def _facts(about: Mapping[str, Any], control: Control) -> dict[str, Any]:
    """What a control depends on, for its sidecar."""
    return {
        **about,
        "control": control.name,
        "dose": control.dose,
        "strength": control.strength,
    }


def _is_there(path: Path, facts: Mapping[str, Any]) -> bool:
    """Whether a control with exactly these facts is complete."""
    try:
        sidecar = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return path.is_file() and {**sidecar, **facts} == sidecar
    except (OSError, ValueError, TypeError):
        return False


def _write_control(
    path: Path, facts: Mapping[str, Any], control: Control, frames: Sequence[Frame], rate: Fraction
) -> None:
    """Writes a video and then its sidecar; a stale sidecar must not vouch for a new video."""
    sidecar = path.with_suffix(".json")
    sidecar.unlink(missing_ok=True)
    sha256 = write_mp4(path, control.apply(frames), rate)
    record = {**facts, "frames": len(frames), "fps": float(rate), "frames_sha256": sha256}
    atomic_write_text(sidecar, dump_json(record))


@contextmanager
def _decoded(
    file: Path, out: Path, seconds: float | None
) -> Iterator[tuple[Sequence[Frame], Fraction]]:
    """The frames of a video and its rate; frames lie on disk, so any length fits into memory.

    Sizes are cut to even numbers, as the encoder needs.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out) as store, open_video(file) as reader:
        shape: tuple[int, int] = (0, 0)
        count = 0
        for frame in reader.frames():
            if reader.info.hdr:
                raise BrokenVideoError("hdr", f"{reader.info.hdr} has no 8-bit levels to change")
            rate = as_rate(reader.info.fps or ASSUMED_FPS).limit_denominator(MAX_TICKS)
            if seconds is not None and count >= seconds * rate:
                break
            shape = (frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2)
            store.write(np.ascontiguousarray(frame[: shape[0], : shape[1]]).data)
            count += 1
        store.flush()
        yield np.memmap(store, np.uint8, "r", shape=(count, *shape, 3)), rate  # type: ignore[misc]
