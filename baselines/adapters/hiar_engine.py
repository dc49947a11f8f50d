"""Runs the distilled Wan family with `hiar`, under each release's own schedule."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any

import torch

from baselines.adapters.adapter import Job, Made, Options, Timing
from baselines.adapters.overlapping import overlapping_windows
from baselines.adapters.videos import write_video
from baselines.errors import VideoFailedError
from baselines.spec import Length, ModelSpec
from baselines.wan_family import sampler_facts
from hiar.bench.video_timing import block_words, time_video
from hiar.codecs.frames import to_output
from hiar.codecs.sidecars import LatentsDigest
from hiar.errors import UsageError
from hiar.loading import TINY
from hiar.model.geometry import num_blocks
from hiar.model.transformer import CausalWan
from hiar.pipeline import HiARPipeline
from hiar.runtime.device import Stopwatch
from hiar.sampling.schedule import passes_per_block


class HiarEngine:
    """A release, or other weights of the same architecture, under that release's sampler.

    Args:
        spec: The model.
        options: Options of the run; `weights` may name a folder in diffusers' layout, or "tiny".
    """

    def __init__(self, spec: ModelSpec, options: Options) -> None:
        assert spec.sampler is not None
        self._spec = spec
        self._config = spec.sampler
        size_px = options.size_px
        if size_px is None and options.weights != TINY:
            size_px = options.size_of(spec)
        self.pipeline = HiARPipeline.from_pretrained(
            options.weights or spec.key,
            torch_dtype=options.dtype_name,
            device=options.device,
            size_px=size_px,
        )

    def facts(self) -> dict[str, Any]:
        """Weights, number type, size and sampler."""
        return {
            "weights": {"name": self.pipeline.name, **self.pipeline.weights},
            "dtype": str(self.pipeline.transformer.dtype).removeprefix("torch."),
            "size_px": list(self.pipeline.size_px),
            "sampler": sampler_facts(self._spec),
        }

    def prepare(self, prompts: Sequence[str]) -> None:
        """Encode all prompts, then free the text encoder, which is larger than the model."""
        self.pipeline.encode_ahead(prompts)

    def make(self, job: Job, path: Path) -> Made:
        """Make one video; if windows do not overlap, it equals that of `hiar sample`."""
        started = time.monotonic()
        latents = LatentsDigest()
        is_rolling = "windows" not in job.length.arguments
        parts = self._rolling(job, latents) if is_rolling else self._overlapping(job)
        chunks = (to_output(video, "uint8")[0] for video in parts)
        try:
            sha256 = write_video(path, chunks, job.length, self._spec.fps)
        except UsageError as error:  # such as latents that are not finite
            raise VideoFailedError(str(error)) from error
        except torch.OutOfMemoryError as error:
            raise UsageError(
                f"the GPU's memory is too small for {self._spec.key}: try --dtype bfloat16"
            ) from error
        return Made(
            seconds={"total": time.monotonic() - started},
            frames_sha256=sha256,
            latents_sha256=latents.hexdigests[0] if is_rolling else None,
        )

    def _rolling(self, job: Job, digest: LatentsDigest) -> Iterator[torch.Tensor]:
        blocks = self.pipeline.stream_blocks(
            [job.prompt],
            self._config,
            latent_frames=_count(job.length, "latent_frames"),
            seed=job.seed,
            prompt_indices=[job.prompt_index],
        )
        return self.pipeline.decode_blocks(digest.watch(blocks))

    def _overlapping(self, job: Job) -> Iterator[torch.Tensor]:
        return overlapping_windows(
            self.pipeline,
            job.prompt,
            self._config,
            num_windows=_count(job.length, "windows"),
            overlap=self._spec.overlap,
            seed=job.seed,
            prompt_index=job.prompt_index,
        )

    def time(self, length: Length, *, warmup: int, repeats: int) -> Timing:
        """Time the transformer block by block, and separately the decoding of a block."""
        timing = time_transformer(
            self.pipeline.transformer, self._spec, length, self.pipeline.latent_shape[1:],
            warmup=warmup, repeats=repeats,
        )  # fmt: skip
        decode = {"decode_chunk": self._time_decode(repeats)}
        return replace(timing, parts_s={**timing.parts_s, **decode})

    def _time_decode(self, repeats: int) -> float:
        """Median seconds to decode a steady block."""
        block = torch.zeros(
            1, self._config.frames_per_block, *self.pipeline.latent_shape,
            device=self.pipeline.device,
        )  # fmt: skip
        decoder = self.pipeline.autoencoder.stream()
        decoder.decode_block(block)
        watch = Stopwatch(self.pipeline.device)
        marks = [watch.mark()]
        for _ in range(repeats):
            decoder.decode_block(block)
            marks.append(watch.mark())
        return median([watch.seconds(a, b) for a, b in pairwise(marks)])

    def close(self) -> None:
        """Does nothing: no process was started."""


def time_transformer(
    model: CausalWan,
    spec: ModelSpec,
    length: Length,
    latent_size: tuple[int, int],
    *,
    warmup: int,
    repeats: int,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Timing:
    """Time a transformer under a release's sampler.

    Args:
        model: The transformer.
        spec: The model whose release gives the sampler.
        length: Length of the videos; of one that is made in windows, a single window is timed.
        latent_size: Rows and columns of a latent frame.
        warmup: Number of runs before the measurement.
        repeats: Number of runs that are measured.
        facts: More facts for the record.
    """
    config = spec.sampler
    assert config is not None
    assert spec.chunk_frames is not None
    overlapping = "windows" in length.arguments
    frames = config.window if overlapping else _count(length, "latent_frames")
    assert frames is not None
    runs = [
        time_video(model, config, latent_frames=frames, latent_size=latent_size)
        for _ in range(warmup + repeats)
    ][warmup:]
    chunk_s = tuple(run.steady_block_s for run in runs)
    window = ", within one window: encoding the carried frame again is not" if overlapping else ""
    block = block_words(config, num_blocks(frames, config.frames_per_block))
    parts_s = {"first_chunk": median([run.first_block_s for run in runs])}
    if not overlapping:
        parts_s["video"] = median([run.seconds for run in runs])
    return Timing(
        chunk_frames=spec.chunk_frames,
        chunk_s=chunk_s,
        counted=f"transformer, denoising and context passes of {block}{window}",
        latency_s=median(chunk_s),
        parts_s=parts_s,
        facts={
            "passes_per_chunk": passes_per_block(config),
            "order": config.order,
            "window": config.window,
            **facts,
        },
    )


def _count(length: Length, name: str) -> int:
    value = length.arguments[name]
    assert isinstance(value, int)
    return value
