"""Measures one video: hash, decode once, per-frame values. Runs in a worker process."""

import base64
import math
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from drift.decode import BrokenVideoError, MediaInfo, open_video
from drift.records import VideoRecord, file_sha256, load_record
from drift.registry import METRICS
from drift.sampling import as_rate
from drift.thumbnails import Filmstrip

FRAMES_PER_BATCH = 8  # frames held at once: 9.6 MB at 480 x 832


@dataclass(frozen=True, kw_only=True)
class Task:
    """One video to measure.

    Args:
        path: Name in results.
        file: The video.
        run: Folder whose records may be reused.
        metrics: Metrics wanted.
        fps: Rate at which frames are sampled; None for every frame.
    """

    path: str
    file: Path
    run: Path
    metrics: tuple[str, ...]
    fps: float | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A task's record, how many of its frames were decoded now, and how long that took."""

    path: str
    record: VideoRecord
    decoded_frames: int
    seconds: float


def metric_keys(metrics: tuple[str, ...]) -> dict[str, str]:
    """What the values of each metric depend on besides the file; a change measures again."""
    return {
        name: f"{name}/{METRICS[name].version} av/{av.__version__} opencv/{cv2.__version__}"
        for name in metrics
    }


def measure(task: Task) -> Measured:
    """Measures the metrics of a task that no record of the same content holds yet.

    Args:
        task: The video, the run and the metrics.

    Returns:
        The record with old and new values; a video that cannot be scored has its status.
    """
    start = time.perf_counter()
    try:
        before = _file_state(task.file)
        sha256 = file_sha256(task.file)
    except OSError as error:
        reason = str(error.strerror or error)
        return Measured(path=task.path, record=_unreadable(reason), decoded_frames=0, seconds=0.0)
    old = load_record(task.run, sha256, task.fps)
    missing = {
        name: key
        for name, key in metric_keys(task.metrics).items()
        if old is None or old.keys.get(name) != key
    }
    if old is not None and not missing:
        return Measured(path=task.path, record=old, decoded_frames=0, seconds=0.0)
    record = _decode_and_measure(task, sha256, missing)
    if _changed_since(before, task.file):
        record = _unreadable("the file changed while it was measured; score it again")
    return Measured(
        path=task.path,
        record=_merged(old, record),
        decoded_frames=int(record.media.get("frames", 0)),
        seconds=time.perf_counter() - start,
    )


def _unreadable(reason: str) -> VideoRecord:
    return VideoRecord(sha256="", status="unreadable", reason=reason)


def _file_state(file: Path) -> tuple[int, int, int]:
    """What changes when someone writes to a file. A pipe would block, so it is refused here."""
    state = file.stat()
    if not stat.S_ISREG(state.st_mode):
        kind = "a folder" if stat.S_ISDIR(state.st_mode) else "a pipe, socket or device"
        raise OSError(f"{kind}, not a file")
    return state.st_ino, state.st_size, state.st_mtime_ns


def _changed_since(before: tuple[int, int, int], file: Path) -> bool:
    try:
        return _file_state(file) != before
    except OSError:
        return True


def _merged(old: VideoRecord | None, new: VideoRecord) -> VideoRecord:
    """Adds what an earlier run measured on the same content to a new record."""
    if old is None or new.status != "ok":
        return new
    keys, values = {**old.keys, **new.keys}, {**old.values, **new.values}
    return replace(new, keys=keys, values=values)


def _decode_and_measure(task: Task, sha256: str, keys: Mapping[str, str]) -> VideoRecord:
    media: MediaInfo | None = None
    strip = Filmstrip()
    rate = None if task.fps is None else as_rate(task.fps)
    meters = {name: METRICS[name].new_meter() for name in keys}
    values: dict[str, list[float]] = {name: [] for name in keys}
    try:
        with open_video(task.file) as reader:
            try:
                for frames in _batches(reader.frames(rate)):
                    for frame in frames:
                        strip.add(frame)
                    for name, meter in meters.items():
                        values[name] += meter(frames)
            finally:
                media = reader.info
    except BrokenVideoError as error:
        known = asdict(media) if media else {}
        return VideoRecord(sha256=sha256, status=error.status, reason=error.reason, media=known)
    for name, series in values.items():
        _check_finite(name, series)
    return VideoRecord(
        sha256=sha256,
        status="ok",
        media=asdict(media),
        keys=dict(keys),
        values=values,
        fps=task.fps,
        thumbnails=base64.b64encode(strip.encode()).decode("ascii"),
    )


def _batches(frames: Iterator[NDArray[np.uint8]]) -> Iterator[list[NDArray[np.uint8]]]:
    batch = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == FRAMES_PER_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _check_finite(metric: str, series: list[float]) -> None:
    """A metric that gives NaN is our fault, not the video's."""
    for index, value in enumerate(series):
        if not math.isfinite(value):
            raise ArithmeticError(f"{metric} of frame {index} is {value}; please report this")
