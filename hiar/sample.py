"""`hiar sample`: prompts in, mp4 files with sidecars out, resumable."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiar.config import SamplerConfig
from hiar.errors import UsageError
from hiar.files import atomic_write_text
from hiar.geometry import num_blocks, num_frames
from hiar.progress import Progress
from hiar.prompts import video_name
from hiar.provenance import provenance
from hiar.video import CODEC, CRF, PIXEL_FORMAT, write_mp4

if TYPE_CHECKING:
    import torch

    from hiar.pipeline import HiARPipeline

SIDECAR_SCHEMA = "hiar-sample/1"
RUN_SCHEMA = "hiar-run/1"


@dataclass(frozen=True, kw_only=True)
class Take:
    """One video to make: a prompt and which sample of it."""

    prompt: str
    prompt_index: int
    sample_index: int

    @property
    def name(self) -> str:
        """File name without suffix."""
        return video_name(self.prompt, self.prompt_index, self.sample_index)


@dataclass(frozen=True, kw_only=True)
class SampleRun:
    """What a folder of videos is made with.

    Attributes:
        config: Of the sampler.
        latent_frames: Latent frames of each video.
        seed: Sample i of a prompt uses seed + i.
        samples: Videos a prompt.
        batch_size: Videos sampled together; it changes the speed alone.
    """

    config: SamplerConfig
    latent_frames: int
    seed: int = 0
    samples: int = 1
    batch_size: int = 8

    def __post_init__(self) -> None:
        if self.samples < 1 or self.batch_size < 1:
            raise UsageError("samples and batch size must be at least 1")
        num_blocks(self.latent_frames, self.config.frames_per_block)


def sample_folder(
    pipeline: HiARPipeline, prompts: Sequence[str], out: Path, run: SampleRun, progress: Progress
) -> dict[str, Any]:
    """Make every video that is not there yet.

    Args:
        pipeline: The model.
        prompts: Texts.
        out: Folder of the run.
        run: Settings.
        progress: Gets one `advance` a (step, block) cell of a batch.

    Returns:
        The run record, also written to `out/run.json`.
    """
    takes = [
        Take(prompt=prompt, prompt_index=index, sample_index=sample)
        for index, prompt in enumerate(prompts)
        for sample in range(run.samples)
    ]
    pending = [take for take in takes if not is_done(pipeline, take, out, run)]
    blocks = num_blocks(run.latent_frames, run.config.frames_per_block)
    batches = list(batched(pending, run.batch_size))
    progress.start(len(batches) * blocks * len(run.config.steps))
    started = time.monotonic()
    for batch in batches:
        make_batch(pipeline, batch, out, run, progress)
    progress.finish()
    record = {
        "schema": RUN_SCHEMA,
        "videos": [f"{take.name}.json" for take in takes],
        "made": len(pending),
        "already_there": len(takes) - len(pending),
        "seconds": round(time.monotonic() - started, 3),
        "settings": asdict(run),
        "model": model_facts(pipeline),
        "provenance": provenance(str(pipeline.transformer.device)),
    }
    atomic_write_text(out / "run.json", json.dumps(record, indent=1) + "\n")
    return record


def batched(takes: Sequence[Take], size: int) -> Iterator[list[Take]]:
    """Groups of at most `size` takes that share a seed, in order."""
    for sample in sorted({take.sample_index for take in takes}):
        same = [take for take in takes if take.sample_index == sample]
        yield from (same[start : start + size] for start in range(0, len(same), size))


def make_batch(
    pipeline: HiARPipeline, batch: Sequence[Take], out: Path, run: SampleRun, progress: Progress
) -> None:
    """Sample, decode and write one batch; a video's sidecar is written last."""
    started = time.monotonic()
    latents = pipeline.sample(
        [take.prompt for take in batch],
        run.config,
        latent_frames=run.latent_frames,
        seed=run.seed + batch[0].sample_index,
        prompt_indices=[take.prompt_index for take in batch],
        on_cell=lambda *_: progress.advance(),
    )
    sampled = time.monotonic()
    videos = pipeline.decode(latents)
    decoded = time.monotonic()
    for take, frames in zip(batch, videos, strict=True):
        sidecar_path = out / f"{take.name}.json"
        sidecar_path.unlink(missing_ok=True)  # it would vouch for the new pictures
        write_mp4(out / f"{take.name}.mp4", frames, pipeline.fps)
        sidecar = describe(pipeline, take, run) | {
            "video_bytes": (out / f"{take.name}.mp4").stat().st_size,
            "seconds": {
                "batch_size": len(batch),
                "sampling": round(sampled - started, 3),
                "decoding": round(decoded - sampled, 3),
            },
            "provenance": provenance(str(pipeline.transformer.device)),
        }
        text = json.dumps(sidecar, indent=1, ensure_ascii=False) + "\n"
        atomic_write_text(sidecar_path, text)


def describe(pipeline: HiARPipeline, take: Take, run: SampleRun) -> dict[str, Any]:
    """What decides a video's content, and the key that says so in short."""
    facts: dict[str, Any] = {
        "schema": SIDECAR_SCHEMA,
        "video": f"{take.name}.mp4",
        "prompt": take.prompt,
        "prompt_index": take.prompt_index,
        "sample_index": take.sample_index,
        "seed": run.seed + take.sample_index,
        "num_latent_frames": run.latent_frames,
        "num_frames": num_frames(run.latent_frames),
        "fps": pipeline.fps,
        "config": asdict(run.config),
        "encoding": {"codec": CODEC, "crf": CRF, "pixel_format": PIXEL_FORMAT},
        "model": model_facts(pipeline),
    }
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return facts | {"key": key}


def model_facts(pipeline: HiARPipeline) -> dict[str, Any]:
    """Name, weights and number type of the model."""
    dtype: torch.dtype = pipeline.transformer.dtype
    return {
        "name": pipeline.name,
        "weights": pipeline.weights,
        "dtype": str(dtype).removeprefix("torch."),
    }


def is_done(pipeline: HiARPipeline, take: Take, out: Path, run: SampleRun) -> bool:
    """Whether the video is there, whole, made with these very settings and weights."""
    try:
        size = (out / f"{take.name}.mp4").stat().st_size
        found = json.loads((out / f"{take.name}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    if not isinstance(found, dict) or found.get("video_bytes") != size:
        return False
    return bool(found.get("key") == describe(pipeline, take, run)["key"])
