"""Models of the records of `hiar` and `hiar-baselines`: videos, runs, trainings and timings.

A row of bench/1 has its model beside the code that measures it, `hiar.bench.rows`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Table = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Video:
    """What the JSON beside each video says; `key` is a hash of all that decides its frames."""

    video: str
    prompt: str
    prompt_index: int
    sample_index: int
    seed: int
    num_frames: int
    fps: float
    encoding: Table
    model: Table
    key: str
    frames_sha256: str
    latents_sha256: str | None
    video_bytes: int
    seconds: Mapping[str, float]
    provenance: Table


@dataclass(frozen=True, kw_only=True)
class HiarVideo(Video):
    """A video of `hiar sample`: `config` is its `SamplerConfig`."""

    schema: Literal["hiar-sample/1"]
    num_latent_frames: int
    config: Table
    beginning: Table | None
    latents_bytes: int | None
    attention: str
    compiled: bool


@dataclass(frozen=True, kw_only=True)
class BaselineVideo(Video):
    """A video of `hiar-baselines generate`: `made_frames` before it was cut to its length."""

    schema: Literal["baselines-video/1"]
    made_frames: int
    arguments: Table


@dataclass(frozen=True, kw_only=True)
class SampleRun:
    """`run.json` of `hiar sample`: the sidecars of its videos."""

    schema: Literal["hiar-run/1"]
    videos: tuple[str, ...]
    made: int
    already_there: int
    seconds: float
    num_ranks: int
    settings: Table
    model: Table
    provenance: Table


@dataclass(frozen=True, kw_only=True)
class Training:
    """`training.json` of `hiar train`; `weights` are the files that it wrote."""

    schema: Literal["hiar-training/2"]
    settings: Table
    steps: int
    resumed_at: int
    weights: tuple[str, ...]
    loss_curve: tuple[Mapping[str, float | None], ...]
    seconds_a_step: float | None
    processor_seconds_a_step: float | None
    peak_memory_bytes: float | None
    num_ranks: int
    provenance: Table


@dataclass(frozen=True, kw_only=True)
class TimingRow:
    """The speed of one compared model: medians over the repeats; `counted` says of what."""

    model: str
    kind: str
    seconds: float
    num_frames: int
    chunk_frames: int
    throughput_fps: float
    latency_s: float
    chunk_s: float
    chunk_s_range: tuple[float, float]
    counted: str
    parts: Mapping[str, float]
    num_gpus: int
    dtype: str
    warmup: int
    repeats: int
    passes_per_chunk: int | None = None
    order: str | None = None
    window: int | None = None
    windows: int | None = None
    num_inference_steps: int | None = None


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Record of `hiar-baselines time`."""

    schema: Literal["baselines-time/1"]
    rows: tuple[TimingRow, ...]
    provenance: Table


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A prompt and seed denoised in one step; the paths of its videos lie beside the record."""

    prompt: str
    seed: int
    bidirectional: str
    causal: str


@dataclass(frozen=True, kw_only=True)
class Strips:
    """Record of `hiar strips`: videos after a single denoising step under both attentions."""

    schema: Literal["reports-strips/1"]
    scale: Literal["tiny", "paper"]
    timestep: float
    clips: tuple[Clip, ...]
    provenance: Table
