"""Measures one video, in a worker process: hashes it, decodes it once, computes its values."""

import base64
import hashlib
import json
import math
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drift.errors import UsageError
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.registry import METRICS, Curved, Metric, MetricSpec, Prompted
from drift.record.records import VideoRecord, load_record
from drift.run.ahead import made_ahead
from drift.run.plan import Plan
from drift.video.batch import FrameBatch
from drift.video.content import State, content_sha256, content_state
from drift.video.decode import BrokenVideoError, MediaInfo, open_video
from drift.video.discover import VideoFile
from drift.video.resample import as_rate
from drift.video.sidecars import Schedule
from drift.video.thumbnails import LARGE, Filmstrip


@dataclass(frozen=True, kw_only=True)
class Task:
    """One video to measure.

    Args:
        path: Name in results.
        file: Path of the video: a file, or a folder of pictures.
        run: Folder of the run, whose records are reused.
        plan: Metrics to measure, and how.
        prompts: Prompts with the seconds from which they hold; empty for none.
    """

    path: str
    file: Path
    run: Path
    plan: Plan
    prompts: Schedule = ()

    @classmethod
    def of(cls, video: VideoFile, run: Path, plan: Plan) -> "Task":
        """The task of a video that was found."""
        return cls(path=video.path, file=video.file, run=run, plan=plan, prompts=video.prompts)

    @property
    def keys(self) -> dict[str, str]:
        """The keys of the plan, with the prompts where values depend on them."""
        told = hashlib.sha256(json.dumps(self.prompts).encode()).hexdigest()[:16]
        return {
            name: f"{key} prompts/{told}" if METRICS[name].needs_prompt else key
            for name, key in self.plan.keys.items()
        }


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Record of a task's video, the number of frames decoded for it now, and the time taken."""

    path: str
    record: VideoRecord
    decoded_frames: int
    seconds: float


def measure(task: Task) -> Measured:
    """Measures the metrics of a task that no record of the same content holds yet.

    Args:
        task: Video, run and plan.

    Returns:
        The record with old and new values. Its status says so if the video cannot be scored.
    """
    start = time.perf_counter()
    try:
        before = content_state(task.file)
        sha256 = content_sha256(task.file)
    except (OSError, BrokenVideoError) as error:
        return Measured(path=task.path, record=_broken(error), decoded_frames=0, seconds=0.0)
    old = load_record(task.run, sha256, task.plan.config.fps)
    missing = {
        name: key for name, key in task.keys.items() if old is None or old.keys.get(name) != key
    }
    if old is not None and not missing:
        return Measured(path=task.path, record=old, decoded_frames=0, seconds=0.0)
    record = _decode_and_measure(task, sha256, missing)
    if _changed_since(before, task.file):
        record = _broken(OSError("the file changed while it was measured; score it again"))
    return Measured(
        path=task.path,
        record=_merged(old, record),
        decoded_frames=int(record.media.get("frames", 0)),
        seconds=time.perf_counter() - start,
    )


def _broken(error: OSError | BrokenVideoError) -> VideoRecord:
    """The record of a video whose content cannot be read."""
    if isinstance(error, BrokenVideoError):
        return VideoRecord(sha256="", status=error.status, reason=error.reason)
    return VideoRecord(sha256="", status="unreadable", reason=str(error.strerror or error))


def _changed_since(before: list[State], video: Path) -> bool:
    try:
        return content_state(video) != before
    except (OSError, BrokenVideoError):
        return True


def _merged(old: VideoRecord | None, new: VideoRecord) -> VideoRecord:
    """Adds the values that an earlier run measured on the same content to a new record."""
    if old is None or new.status != "ok":
        return new
    return replace(
        new,
        keys={**old.keys, **new.keys},
        values={**old.values, **new.values},
        curves={**old.curves, **new.curves},
        leads={**old.leads, **new.leads},
    )


def _decode_and_measure(task: Task, sha256: str, keys: Mapping[str, str]) -> VideoRecord:
    media: MediaInfo | None = None
    strip = Filmstrip()
    config, settings = task.plan.config, task.plan.settings
    rate = None if config.fps is None else as_rate(config.fps)
    specs = [METRICS[name] for name in keys]
    running: dict[str, Metric] = {}
    values: dict[str, list[float]] = {name: [] for name in keys}

    def update(frames: FrameBatch, *, learned: bool) -> None:
        for spec in specs:
            if bool(spec.variants) == learned:
                part = frames.every(config.every if spec.sampled else 1)
                values[spec.name] += running[spec.name](part) if part else []

    def measured_on_cpu(batches: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
        for frames in batches:
            _check_size(frames[0], specs)
            for frame in frames:
                strip.add(frame)
            update(frames, learned=False)
            yield frames

    # Beside a GPU, one thread decodes and another measures what needs no network.
    ahead = made_ahead if settings.device_kind == "cuda" else _as_they_come
    try:
        with open_video(task.file) as reader:
            running |= _started(task, specs, config.fps or reader.info.fps)
            try:
                with (  # their threads end before the reader closes
                    closing(ahead(_batches(reader.frames(rate), settings))) as batches,
                    closing(ahead(measured_on_cpu(batches))) as on_cpu,
                ):
                    for frames in on_cpu:
                        update(frames, learned=True)
            finally:
                media = reader.info
    except BrokenVideoError as error:
        known = asdict(media) if media else {}
        return VideoRecord(sha256=sha256, status=error.status, reason=error.reason, media=known)
    except RuntimeError as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's; it may be absent
            raise UsageError(f"{task.path}: out of GPU memory; give a smaller --batch") from None
        raise
    for name, series in values.items():
        _check_finite(name, series)
    measured: dict[str, object] = {**running}
    return VideoRecord(
        sha256=sha256,
        status="ok",
        media=asdict(media),
        keys=dict(keys),
        values=values,
        curves={name: one.curve() for name, one in measured.items() if isinstance(one, Curved)},
        leads={name: one.leads() for name, one in measured.items() if isinstance(one, Prompted)},
        fps=config.fps,
        thumbnails=base64.b64encode(strip.encode()).decode("ascii"),
        picture=base64.b64encode(strip.encode(LARGE)).decode("ascii"),
    )


def _as_they_come(batches: Iterable[FrameBatch]) -> Generator[FrameBatch]:
    yield from batches


def _started(task: Task, specs: Sequence[MetricSpec], fps: float | None) -> dict[str, Metric]:
    """Starts the metrics on the video of a task, whose frame rate is None if it is not known."""
    chosen, every = dict(task.plan.config.variants), task.plan.config.every
    for spec in specs:
        if spec.needs_prompt and not task.prompts:
            remedy = "give its sidecar one, or --prompts"
            raise BrokenVideoError("no_prompt", f"{spec.name} needs a prompt; {remedy}")
        if spec.needs_prompt and len(task.prompts) > 1 and fps is None:
            raise BrokenVideoError(
                "unreadable", "no frame rate, and its prompt changes; give --fps"
            )
    prompts = [(math.ceil(round(start * (fps or 0)) / every), text) for start, text in task.prompts]
    settings = task.plan.settings
    return {spec.name: spec.new_metric(settings, chosen.get(spec.name), prompts) for spec in specs}


def _batches(frames: Iterator[NDArray[np.uint8]], settings: MetricSettings) -> Iterator[FrameBatch]:
    """Cuts a video into batches whose length depends on the size of the first frame."""
    first = 0
    held: list[NDArray[np.uint8]] = []
    for frame in frames:
        held.append(frame)
        height, width = held[0].shape[:2]
        if len(held) == settings.frames_per_batch(height, width):
            yield FrameBatch(held, first)
            first, held = first + len(held), []
    if held:
        yield FrameBatch(held, first)


def _check_size(frame: NDArray[np.uint8], specs: Sequence[MetricSpec]) -> None:
    height, width = frame.shape[:2]
    for spec in specs:
        if min(height, width) < spec.min_side_px:
            raise BrokenVideoError(
                "too_small",
                f"{width}x{height} pixels; {spec.name} needs {spec.min_side_px}x{spec.min_side_px}",
            )


def _check_finite(metric: str, series: list[float]) -> None:
    """Raises ArithmeticError at a value that is not finite: a fault of ours, not of the video."""
    for index, value in enumerate(series):
        if not math.isfinite(value):
            raise ArithmeticError(f"{metric} of frame {index} is {value}; please report this")
