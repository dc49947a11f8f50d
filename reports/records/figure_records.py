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

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.records.record_files import RecordError, member, read_json, read_json_lines

DYNAMICS_SCHEMA = "reports-dynamics/1"
STRIPS_SCHEMA = "reports-strips/1"
LENGTHS_SCHEMA = "drift-lengths/1"
ATTENTIONS = ("bidirectional", "causal")


@dataclass(frozen=True, kw_only=True)
class DynamicsPoint:
    """The dynamic degree of one training checkpoint under both kinds of attention."""

    step: int
    bidirectional: float
    causal: float


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
class LengthPoint:
    """The drift score of the first `seconds` of a run's videos."""

    seconds: float
    value: float
    ci95: tuple[float, float]
    noise_floor: float


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
    runs: Mapping[str, tuple[LengthPoint, ...]]


def read_dynamics(path: Path) -> DynamicsRecord:
    """Reads a log of dynamic degrees.

    Raises:
        RecordError: The schema is another one, a key or the log is missing, there are fewer than
            two points, a step stands twice, or a value is not finite.
    """
    data = read_json(path, DYNAMICS_SCHEMA)
    log = path.parent / member(path, data, "log")
    lines = read_json_lines(log)
    points = tuple(sorted((_point(log, line) for line in lines), key=lambda point: point.step))
    steps = [point.step for point in points]
    if len(points) < 2 or len(set(steps)) < len(steps):
        raise RecordError(
            f"{log}: steps {steps}; a line needs two points or more, a checkpoint each"
        )
    counts = {len(line.get("videos", {}).get(name, ())) for line in lines for name in ATTENTIONS}
    if len(counts) > 1:
        raise RecordError(f"{log}: points are over {sorted(counts)} videos; give them one number")
    return DynamicsRecord(
        scale=member(path, data, "scale"),
        measure=member(path, data, "measure"),
        unit=member(path, data, "unit"),
        training=member(path, data, "training"),
        videos=counts.pop(),
        points=points,
    )


def _point(path: Path, item: Mapping[str, Any]) -> DynamicsPoint:
    values = {name: float(member(path, item, name)) for name in ATTENTIONS}
    if not all(math.isfinite(value) for value in values.values()):
        raise RecordError(f"{path}: step {item.get('step')}: {values}; a point needs two numbers")
    return DynamicsPoint(step=int(member(path, item, "step")), **values)


def read_strips(path: Path) -> StripsRecord:
    """Reads which clips were denoised in one step.

    Raises:
        RecordError: The schema is another one, a key or video is missing, or there is no clip.
    """
    data = read_json(path, STRIPS_SCHEMA)
    strips = tuple(_strip(path, item) for item in member(path, data, "clips"))
    if not strips:
        raise RecordError(f"{path}: clips is empty; one is needed")
    return StripsRecord(
        scale=member(path, data, "scale"),
        timestep=float(member(path, data, "timestep")),
        strips=strips,
    )


def _strip(path: Path, item: Mapping[str, Any]) -> Strip:
    videos = {name: path.parent / member(path, item, name) for name in ATTENTIONS}
    for video in videos.values():
        if not video.is_file():
            raise RecordError(f"{path}: {video.name} is not there; copy it beside the record")
    return Strip(
        prompt=member(path, item, "prompt"), seed=int(member(path, item, "seed")), videos=videos
    )


def read_lengths(path: Path) -> LengthsRecord:
    """Reads drift against length.

    Raises:
        RecordError: The schema is another one, a key is missing, or runs were not scored alike.
    """
    data = read_json(path, LENGTHS_SCHEMA)
    runs = member(path, data, "runs")
    keys = ("videos", "segments", "metrics", "preset")
    kinds = [[member(path, run, key) for key in keys] for run in runs]
    if not kinds or any(kind != kinds[0] for kind in kinds):
        raise RecordError(f"{path}: runs differ in {', '.join(keys)}: {kinds}; score them alike")
    return LengthsRecord(
        videos=kinds[0][0],
        segments=kinds[0][1],
        metrics=tuple(kinds[0][2]),
        runs={
            member(path, run, "name"): tuple(
                _length(path, item) for item in member(path, run, "lengths")
            )
            for run in runs
        },
    )


def _length(path: Path, item: Mapping[str, Any]) -> LengthPoint:
    score = member(path, item, "score")
    low, high = member(path, score, "ci95")
    return LengthPoint(
        seconds=float(member(path, item, "seconds")),
        value=float(member(path, score, "value")),
        ci95=(float(low), float(high)),
        noise_floor=float(member(path, score, "noise_floor")),
    )
