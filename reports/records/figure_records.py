"""The records that Figs. 4 and 5 and drift against length are drawn from, and their readers.

`records/dynamics.json` of a reproduction folder, with the `dynamics.jsonl` of a `hiar train` run
beside it (a line a sampled step: `{"step": 500, "bidirectional": 2.1, "causal": 1.9, "videos":
{"bidirectional": [...], "causal": [...]}}`, one value a video):

    {"schema": "reports-dynamics/1", "scale": "tiny" | "paper", "training": "what was trained",
     "measure": "Farneback flow, mean of the largest 5 %", "unit": "pixels a frame at 256",
     "log": "dynamics.jsonl"}

`records/strips.json`, clips after a single denoising step from the same noise under each attention,
with the videos beside the record (paths relative to it):

    {"schema": "reports-strips/1", "scale": ..., "timestep": 1000.0, "provenance": {...},
     "clips": [{"prompt": "...", "seed": 0, "bidirectional": "strips/0-bidirectional.mp4",
                "causal": "strips/0-causal.mp4"}, ...]}

`records/lengths.json`, as `drift lengths RUN ... --at S,T --out FILE` writes it; the folders of the
runs are called like the preset's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from drift.errors import UsageError
from reports.records.record_files import read_lines, read_record
from reports.schemas.drift_records import Length, Lengths
from reports.schemas.hiar_records import Clip, Strips

ATTENTIONS = ("bidirectional", "causal")


@dataclass(frozen=True, kw_only=True)
class DynamicsPoint:
    """The dynamic degree of one training checkpoint under both kinds of attention.

    Attributes:
        videos: Values by attention, one a video; where the log has them.
    """

    step: int
    bidirectional: float
    causal: float
    videos: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DynamicsFile:
    """What `dynamics.json` says of the log beside it."""

    schema: Literal["reports-dynamics/1"] = "reports-dynamics/1"
    scale: Literal["tiny", "paper"]
    training: str
    measure: str
    unit: str
    log: str


@dataclass(frozen=True, kw_only=True)
class DynamicsRecord:
    """Dynamic degree over a training run; points by rising step.

    Attributes:
        measure: What was measured, in words; `unit` is its unit.
        training: What was trained, in words.
        videos: Number of videos that each point is the mean of.
    """

    scale: str
    measure: str
    unit: str
    training: str
    videos: int
    points: tuple[DynamicsPoint, ...]


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One prompt and seed, denoised in one step under each attention; `videos` is by attention."""

    prompt: str
    seed: int
    videos: Mapping[str, Path]


@dataclass(frozen=True, kw_only=True)
class StripsRecord:
    """Clips that were made by a single denoising step from `timestep`."""

    scale: str
    timestep: float
    strips: tuple[Strip, ...]


@dataclass(frozen=True, kw_only=True)
class LengthsRecord:
    """Drift against length, by run; points by rising length.

    Attributes:
        videos: Number of videos of each run.
        segments: Number of segments that each length is cut into.
        metrics: Metrics that the scores are made of.
    """

    videos: int
    segments: int
    metrics: tuple[str, ...]
    runs: Mapping[str, tuple[Length, ...]]


def read_dynamics(path: Path) -> DynamicsRecord:
    """Reads a log of dynamic degrees.

    Raises:
        UsageError: The schema is another one, a key or the log is missing, there are fewer than
            two points, a step stands twice, or a value is not finite.
    """
    about = read_record(path, DynamicsFile)
    log = path.parent / about.log
    points = tuple(sorted(read_lines(log, DynamicsPoint), key=lambda point: point.step))
    steps = [point.step for point in points]
    if len(points) < 2 or len(set(steps)) < len(steps):
        raise UsageError(
            f"{log}: steps {steps}; a line needs two points or more, a checkpoint each"
        )
    counts = {len(point.videos.get(name, ())) for point in points for name in ATTENTIONS}
    if len(counts) > 1:
        raise UsageError(f"{log}: points are over {sorted(counts)} videos; give them one number")
    return DynamicsRecord(
        scale=about.scale,
        measure=about.measure,
        unit=about.unit,
        training=about.training,
        videos=counts.pop(),
        points=points,
    )


def read_strips(path: Path) -> StripsRecord:
    """Reads which clips were denoised in one step.

    Raises:
        UsageError: The schema is another one, a key or video is missing, or there is no clip.
    """
    record = read_record(path, Strips)
    if not record.clips:
        raise UsageError(f"{path}: clips is empty; one is needed")
    return StripsRecord(
        scale=record.scale,
        timestep=record.timestep,
        strips=tuple(_strip(path, clip) for clip in record.clips),
    )


def _strip(path: Path, clip: Clip) -> Strip:
    videos = {name: path.parent / getattr(clip, name) for name in ATTENTIONS}
    for video in videos.values():
        if not video.is_file():
            raise UsageError(f"{path}: {video.name} is not there; copy it beside the record")
    return Strip(prompt=clip.prompt, seed=clip.seed, videos=videos)


def read_lengths(path: Path) -> LengthsRecord:
    """Reads drift against length.

    Raises:
        UsageError: The schema is another one, a key is missing, or runs were not scored alike.
    """
    runs = read_record(path, Lengths).runs
    keys = ("videos", "segments", "metrics", "preset")
    kinds = [tuple(getattr(run, key) for key in keys) for run in runs]
    if not kinds or any(kind != kinds[0] for kind in kinds):
        raise UsageError(f"{path}: runs differ in {', '.join(keys)}: {kinds}; score them alike")
    return LengthsRecord(
        videos=runs[0].videos,
        segments=runs[0].segments,
        metrics=runs[0].metrics,
        runs={run.name: run.lengths for run in runs},
    )
