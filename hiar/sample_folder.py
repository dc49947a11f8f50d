"""`hiar sample`: prompts in, mp4 files with sidecars out; resumable, over several processes."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiar.codecs.frames import to_output
from hiar.codecs.prompts import numbered, video_name
from hiar.codecs.sidecars import LatentsDigest, read_sidecar
from hiar.codecs.video import ENCODING, open_mp4
from hiar.errors import RankLostError, UsageError
from hiar.model.geometry import num_blocks, num_frames
from hiar.runtime.files import atomic_write_text, remove_leftovers
from hiar.runtime.provenance import provenance
from hiar.runtime.ranks import Ranks
from hiar.sampling.config import SamplerConfig

if TYPE_CHECKING:
    import torch

    from hiar.pipeline import HiARPipeline
    from hiar.runtime.progress import Progress
    from hiar.sampling.pipelined.group import PipelineGroup

SIDECAR_SCHEMA = "hiar-sample/1"
RUN_SCHEMA = "hiar-run/1"
PARTIAL = ".partial.mp4"
"""Suffix of what was decoded before a pipeline lost a process."""
LATENTS = ".safetensors"
"""Suffix of the latents of a video."""


@dataclass(frozen=True, kw_only=True)
class VideoSample:
    """One video to make: a prompt and which sample of it."""

    prompt: str
    prompt_index: int
    sample_index: int

    @property
    def name(self) -> str:
        """File name without suffix."""
        return video_name(self.prompt, self.prompt_index, self.sample_index)


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """The given frames that every video of a run begins with.

    Attributes:
        path: The picture or video that the frames were read from.
        sha256: SHA-256 of that file.
        latents: Latents of the given frames [1, F0, C, H, W].
    """

    path: str
    sha256: str
    latents: torch.Tensor

    @property
    def num_latent_frames(self) -> int:
        """F0, the number of given latent frames."""
        return self.latents.shape[1]


@dataclass(frozen=True, kw_only=True)
class SampleRun:
    """What a folder of videos is made with.

    Attributes:
        config: Settings of the sampler.
        latent_frames: Latent frames of each video, the given ones included.
        seed: Sample i of a prompt uses seed + i.
        samples: Videos a prompt.
        batch_size: Videos sampled together; it changes the speed alone.
        conditioning: Picture or video that all of them begin with.
        save_latents: Keep the latents beside each video.
        attention, compiled: How the pipeline's transformer computes; told in the records.
        prompt_range: First prompt of the list to make, and the one after the last; None for all.
    """

    config: SamplerConfig
    latent_frames: int
    seed: int = 0
    samples: int = 1
    batch_size: int = 8
    conditioning: Conditioning | None = None
    save_latents: bool = False
    attention: str = "sdpa"
    compiled: bool = False
    prompt_range: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.samples < 1 or self.batch_size < 1:
            raise UsageError("samples and batch size must be at least 1")
        self.num_blocks  # noqa: B018  (raises if the length does not fit)

    @property
    def num_blocks(self) -> int:
        """Blocks that are sampled for each video."""
        given = 0 if self.conditioning is None else self.conditioning.num_latent_frames
        return num_blocks(self.latent_frames, self.config.frames_per_block, initial=given)

    def facts(self) -> dict[str, Any]:
        """What decides the content of all videos of the run, but for the seed."""
        from hiar.model.attention_kernels import KERNELS  # noqa: PLC0415  (imports torch)

        given, kernel = self.conditioning, KERNELS.get(self.attention)
        is_exact = kernel is None or kernel.is_exact  # "auto" chooses among exact ones
        return {
            "num_latent_frames": self.latent_frames,
            "config": asdict(self.config) | {"cache": self.config.policy.name},
            "beginning": given and {"path": given.path, "sha256": given.sha256},
        } | ({} if is_exact else {"attention": self.attention})


def sample_folder(
    pipeline: HiARPipeline,
    prompts: Sequence[str],
    out: Path,
    run: SampleRun,
    progress: Progress,
    ranks: Ranks = Ranks(),  # noqa: B008  (frozen)
) -> dict[str, Any]:
    """Make every video that is not there yet.

    Batches are formed before they are shared out, so the videos do not depend on the number of
    processes.

    Args:
        pipeline: The model.
        prompts: Texts.
        out: Folder of the run.
        run: Settings.
        progress: Gets one `advance` a (step, block) cell of a batch.
        ranks: This process among those that share the work.

    Returns:
        The run record, also written to `out/run.json`.
    """
    if not prompts:
        raise UsageError("there are 0 prompts: give at least one")
    samples = [
        VideoSample(prompt=prompt, prompt_index=index, sample_index=number)
        for index, prompt in numbered(prompts, run.prompt_range)
        for number in range(run.samples)
    ]
    if ranks.is_first:
        remove_leftovers(out)
    pending = ranks.from_first([s for s in samples if not is_done(pipeline, s, out, run)])
    batches, num_steps = own_work(pipeline, list(batched(pending, run.batch_size)), run, ranks)
    progress.start(len(batches) * run.num_blocks * num_steps)
    started = time.monotonic()
    for batch in batches:
        make_batch(pipeline, batch, out, run, progress)
    progress.finish()
    ranks.wait()
    record = {
        "schema": RUN_SCHEMA,
        "videos": [f"{sample.name}.json" for sample in samples],
        "made": len(pending),
        "already_there": len(samples) - len(pending),
        "seconds": round(time.monotonic() - started, 3),
        "num_ranks": ranks.num_ranks,
        "settings": run.facts() | {
            name: getattr(run, name)
            for name in ("seed", "samples", "batch_size", "save_latents", "attention", "compiled")
        },
        "model": model_facts(pipeline),
        "provenance": provenance(str(pipeline.device)),
    }  # fmt: skip
    if ranks.is_first:
        atomic_write_text(out / "run.json", json.dumps(record, indent=1) + "\n")
    return record


def batched(samples: Sequence[VideoSample], size: int) -> Iterator[list[VideoSample]]:
    """Groups of at most `size` samples that share a seed, in order."""
    for index in sorted({sample.sample_index for sample in samples}):
        same = [sample for sample in samples if sample.sample_index == index]
        yield from (same[start : start + size] for start in range(0, len(same), size))


def own_work(
    pipeline: HiARPipeline, batches: list[list[VideoSample]], run: SampleRun, ranks: Ranks
) -> tuple[list[list[VideoSample]], int]:
    """The batches that this process works on, and how many denoising steps of each it runs.

    The processes of a pipeline divide the steps of every video; otherwise, processes divide the
    batches.
    """
    num_steps = len(run.config.steps)
    if pipeline.group is None:
        return ranks.share(batches), num_steps
    return batches, len(pipeline.group.own_steps(num_steps))


def make_batch(
    pipeline: HiARPipeline,
    batch: Sequence[VideoSample],
    out: Path,
    run: SampleRun,
    progress: Progress,
) -> None:
    """Sample, decode and write one batch; a video's sidecar is written last.

    Frames go to the files as they are decoded, so a long video needs no more memory than a short
    one, but for latents that are to be saved. Of a pipeline, the last process writes. There and on
    a GPU a block is decoded while the next ones are sampled.
    """
    blocks = pipeline.stream_blocks(
        [sample.prompt for sample in batch],
        run.config,
        latent_frames=run.latent_frames,
        seed=run.seed + batch[0].sample_index,
        prompt_indices=[sample.prompt_index for sample in batch],
        initial_latents=None if run.conditioning is None else run.conditioning.latents,
        on_cell=lambda *_: progress.advance(),
    )
    group = pipeline.group
    if group is not None and not group.ranks.is_last:
        run_before_last(pipeline, blocks, group)
        return
    for sample in batch:
        # A sidecar left in place would mark the new file as complete while it is being written.
        for suffix in (".json", LATENTS, PARTIAL):
            (out / f"{sample.name}{suffix}").unlink(missing_ok=True)
    started = time.monotonic()
    staged = pipeline.staged
    ahead = pipeline.sampled_ahead(blocks) if staged is None else staged.blocks()
    watched = Watched(ahead, keep=run.save_latents)
    hashes = write_videos(pipeline, watched, [out / f"{sample.name}.mp4" for sample in batch])
    seconds = {
        "batch_size": len(batch),
        "sampling": round(watched.seconds, 3),
        "decoding": round(time.monotonic() - started - watched.seconds, 3),
    }
    for row, sample in enumerate(batch):
        latents = out / f"{sample.name}{LATENTS}"
        if run.save_latents:
            save_latents(latents, [part[row] for part in watched.kept])
        sidecar = describe(pipeline, sample, run) | {
            "frames_sha256": hashes[row],
            "latents_sha256": watched.digest.hexdigests[row],
            "video_bytes": (out / f"{sample.name}.mp4").stat().st_size,
            "latents_bytes": latents.stat().st_size if run.save_latents else None,
            "seconds": seconds,
            "attention": run.attention,
            "compiled": run.compiled,
            "provenance": provenance(str(pipeline.device)),
        }
        text = json.dumps(sidecar, indent=1, ensure_ascii=False) + "\n"
        atomic_write_text(sidecar_path(out, sample), text)


def run_before_last(
    pipeline: HiARPipeline, blocks: Iterator[torch.Tensor], group: PipelineGroup
) -> None:
    """The part of a process that does not write: its steps, or its share of the decoder."""
    from hiar.codecs.wan_decoder.staged import send_blocks  # noqa: PLC0415  (imports torch)

    if pipeline.staged is not None:
        pipeline.staged.run()
    elif group.decoder_ranks and group.denoising.is_last:
        send_blocks(blocks, group, pipeline.device)
    else:
        for _ in blocks:
            pass


def write_videos(
    pipeline: HiARPipeline, blocks: Iterator[torch.Tensor], paths: Sequence[Path]
) -> list[str]:
    """Decode blocks into one mp4 a video of the batch, as they come.

    What a pipeline had decoded when it lost a process is kept, as NAME and `PARTIAL`.

    Returns:
        SHA-256 of the frames of each video.
    """
    lost: BaseException | None = None
    with ExitStack() as files:
        writers = [files.enter_context(open_mp4(path, pipeline.fps)) for path in paths]
        try:
            for video in pipeline.decode_blocks(blocks):
                for writer, frames in zip(writers, to_output(video, "uint8"), strict=True):
                    writer.write(frames)
        except (RankLostError, KeyboardInterrupt) as error:
            if pipeline.group is None or not writers[-1].num_frames:
                raise
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # whoever ended the others ends us soon
            lost = error
    if lost is not None:
        for path in paths:
            path.replace(path.with_suffix(PARTIAL))
        raise lost
    return [writer.frames_sha256 for writer in writers]


class Watched:
    """An iterator over latents that adds up the time spent waiting for them, and hashes them.

    Args:
        blocks: Latents [B, f, C, h, w].
        keep: Hold a copy of each on the CPU.
    """

    def __init__(self, blocks: Iterator[torch.Tensor], *, keep: bool) -> None:
        self.seconds = 0.0
        self.kept: list[torch.Tensor] = []
        self.digest = LatentsDigest()
        self._blocks = blocks
        self._keep = keep

    def __iter__(self) -> Iterator[torch.Tensor]:
        return self

    def __next__(self) -> torch.Tensor:
        started = time.monotonic()
        try:
            latents = next(self._blocks)
        finally:
            self.seconds += time.monotonic() - started
        copy = latents.float().cpu()
        self.digest.update(copy)
        if self._keep:
            self.kept.append(copy)
        return latents


def save_latents(path: Path, blocks: Sequence[torch.Tensor]) -> None:
    """Write the latents of one video, blocks [f, C, h, w], as `latents` [F, C, h, w], float32."""
    import torch  # noqa: PLC0415

    from hiar.weights.tensor_files import write_tensors  # noqa: PLC0415

    write_tensors(path, {"latents": torch.cat(list(blocks))})


def sidecar_path(out: Path, sample: VideoSample) -> Path:
    """Where the JSON of a video lies."""
    return out / f"{sample.name}.json"


def describe(pipeline: HiARPipeline, sample: VideoSample, run: SampleRun) -> dict[str, Any]:
    """What decides a video's content, and the key that says so in short."""
    facts: dict[str, Any] = {
        "schema": SIDECAR_SCHEMA,
        "video": f"{sample.name}.mp4",
        "prompt": sample.prompt,
        "prompt_index": sample.prompt_index,
        "sample_index": sample.sample_index,
        "seed": run.seed + sample.sample_index,
        **run.facts(),
        "num_frames": num_frames(run.latent_frames),
        "fps": pipeline.fps,
        "encoding": ENCODING,
        "model": model_facts(pipeline),
    }
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return facts | {"key": key}


def model_facts(pipeline: HiARPipeline) -> dict[str, Any]:
    """Name, weights and number type of the model."""
    from hiar.model.fp8 import FP8_NAME, has_fp8_feed_forward  # noqa: PLC0415  (imports torch)

    dtype = str(pipeline.transformer.dtype).removeprefix("torch.")
    if has_fp8_feed_forward(pipeline.transformer):
        dtype = f"{dtype}, {FP8_NAME}"
    return {"name": pipeline.name, "weights": pipeline.weights, "dtype": dtype}


def same_on_all_ranks(
    pipeline: HiARPipeline, prompts: Sequence[str], run: SampleRun
) -> dict[str, Any]:
    """What the processes of a pipeline must have in common."""
    import torch  # noqa: PLC0415

    from hiar.runtime.device import device_name  # noqa: PLC0415

    return {
        "device": pipeline.device.type,
        "device_name": device_name(pipeline.device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "prompts": hashlib.sha256("\n".join(prompts).encode()).hexdigest(),
        **run.facts(),
        **{
            name: getattr(run, name)
            for name in ("seed", "samples", "batch_size", "attention", "compiled")
        },
        **model_facts(pipeline),
    }


def is_done(pipeline: HiARPipeline, sample: VideoSample, out: Path, run: SampleRun) -> bool:
    """Whether the video is there, made with these very settings and weights.

    The sizes of the video and of its latents must be those of the sidecar, which is written last.
    No file is read: damage that leaves the size as it was is not seen.
    """
    found = read_sidecar(out / f"{sample.name}.mp4")
    if found is None or found.get("key") != describe(pipeline, sample, run)["key"]:
        return False
    return not run.save_latents or found.get("latents_bytes") == file_bytes(
        out / f"{sample.name}{LATENTS}"
    )


def file_bytes(path: Path) -> int:
    """Size of a file; -1 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
