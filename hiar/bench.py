"""`hiar bench`: how fast a model samples on this machine, and what exactly was counted.

Counted is the transformer alone, from noise to clean latents: no text encoding, no decoding. One
video at a time. Every figure is the median of the repeats, after the warm-up.
"""

from __future__ import annotations

import hashlib
import resource
import statistics
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch

from hiar.checkpoint import load_transformer
from hiar.config import Order, SamplerConfig, WanConfig
from hiar.device import check_device
from hiar.errors import UsageError
from hiar.flops import video_flops
from hiar.geometry import SPATIAL_STRIDE, num_blocks, num_frames, token_grid
from hiar.loading import TINY_WEIGHTS
from hiar.noise import initial_noise
from hiar.provenance import provenance, weights_sha256
from hiar.sampler import sample_latents
from hiar.schedule import passes_per_block
from hiar.tiny.preset import asset
from hiar.tiny.world import SIZE_PX
from hiar.transformer import CausalWan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hiar.progress import Progress
    from hiar.schedule import Cell

SCHEMA = "bench/1"


@dataclass(frozen=True)
class BenchModel:
    """A model to time: its sizes and the (rows, columns) of its latent frames."""

    config: WanConfig
    latent_size: tuple[int, int]


def bench_models() -> dict[str, BenchModel]:
    """The models by name; 1.3B at 480 x 832 pixels is 60 x 104 latent pixels."""
    tiny = SIZE_PX // SPATIAL_STRIDE
    return {
        "tiny": BenchModel(WanConfig.tiny(), (tiny, tiny)),
        "bench-cpu": BenchModel(WanConfig.bench_cpu(), (24, 40)),
        "wan-1.3b": BenchModel(WanConfig.wan_1_3b(), (60, 104)),
    }


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What to time.

    Attributes:
        model: Name in `bench_models`.
        orders: Orders to time, each with its own context (clean for block_first, else output).
        latent_frames: Latent frames of the video.
        window: Latent frames visible; None = all.
        warmup, repeats: Runs before counting, and counted.
        dtype: Of the model.
        device: Where it runs.
        weights: Transformer weights; None takes the shipped ones of the tiny model.
        random_weights: Time random weights: speed does not depend on their values.
        checksum: Add the SHA-256 of the latents.
    """

    model: str = "tiny"
    orders: tuple[str, ...] = ("block_first", "step_first")
    latent_frames: int = 45
    window: int | None = 21
    warmup: int = 1
    repeats: int = 3
    dtype: str = "float32"
    device: str = "cpu"
    weights: Path | None = None
    random_weights: bool = False
    checksum: bool = False

    def __post_init__(self) -> None:
        names = tuple(bench_models())
        if self.model not in names:
            raise UsageError(f"config {self.model!r} is unknown: use one of {', '.join(names)}")
        if not self.orders:
            raise UsageError("no order to time: give one or more, such as block_first,step_first")
        for order in self.orders:
            if order not in get_args(Order):
                known = ", ".join(get_args(Order))
                raise UsageError(f"order {order!r} is unknown: use one of {known}")
        if self.warmup < 0 or self.repeats < 1:
            raise UsageError("warmup must be at least 0 and repeats at least 1")
        if self.dtype not in ("float32", "bfloat16", "float16"):
            raise UsageError(f"dtype {self.dtype!r}: use float32, bfloat16 or float16")

        num_blocks(self.latent_frames, self.sampler(self.orders[0]).frames_per_block)

    def sampler(self, order: str) -> SamplerConfig:
        """The sampler settings of one order."""
        base = SamplerConfig(window=self.window)
        if order == "block_first":
            return replace(base, order="block_first", context="clean")
        return replace(base, order=order)  # type: ignore[arg-type]


def run_bench(config: BenchConfig, progress: Progress) -> dict[str, Any]:
    """Time every order.

    Args:
        config: What to time.
        progress: Gets one `advance` a run.

    Returns:
        A bench/1 record: rows and provenance.
    """
    check_device(config.device)
    model, weights = build_model(config)
    progress.start(len(config.orders) * (config.warmup + config.repeats))
    rows = [time_order(model, config, order, progress) for order in config.orders]
    progress.finish()
    facts = provenance(config.device) | {"weights": weights, "threads": torch.get_num_threads()}
    settings = asdict(config) | {"weights": str(config.weights) if config.weights else None}
    return {
        "schema": SCHEMA,
        "counted": "transformer only; one video; no text encoding, no decoding",
        "rows": rows,
        "settings": settings,
        "provenance": facts,
    }


def build_model(config: BenchConfig) -> tuple[CausalWan, dict[str, str]]:
    """The model to time and the SHA-256 of its weights ("random" if so)."""
    sizes = bench_models()[config.model].config
    dtype: torch.dtype = getattr(torch, config.dtype)
    if config.random_weights:
        torch.manual_seed(0)
        with torch.device(config.device):
            model = CausalWan(sizes)
        return model.to(dtype).eval().requires_grad_(False), {"transformer": "random"}
    path = config.weights
    if path is None:
        if config.model != "tiny":
            raise UsageError(
                f"config {config.model!r} ships no weights: pass --weights FILE or --random-weights"
            )
        path = asset(*TINY_WEIGHTS["transformer"])
    model = load_transformer(path, sizes, device=config.device, dtype=dtype)
    return model, {"transformer": weights_sha256(path)}


def time_order(
    model: CausalWan, config: BenchConfig, order: str, progress: Progress
) -> dict[str, Any]:
    """One row: the medians of the counted runs."""
    sampler = config.sampler(order)
    runs = []
    for _ in range(config.warmup + config.repeats):
        runs.append(time_video(model, config, sampler))
        progress.advance()
    counted = runs[config.warmup :]
    blocks = num_blocks(config.latent_frames, sampler.frames_per_block)
    rows, columns = bench_models()[config.model].latent_size
    grid = token_grid(rows, columns, model.config.patch_size)
    seconds = statistics.median(run.seconds for run in counted)
    flops = video_flops(model.config, sampler, blocks, grid[0] * grid[1])
    row: dict[str, Any] = {
        "order": order,
        "context": sampler.context,
        "gpus": 1 if config.device.startswith("cuda") else 0,
        "config": config.model,
        "dtype": config.dtype,
        "backend": "sdpa",
        "latent_frames": config.latent_frames,
        "window": config.window,
        "repeats": config.repeats,
        "seconds": seconds,
        "seconds_range": [min(r.seconds for r in counted), max(r.seconds for r in counted)],
        "throughput_fps": num_frames(config.latent_frames) / seconds,
        "latency_s": statistics.median(run.steady_block_s for run in counted),
        "first_block_s": statistics.median(run.first_block_s for run in counted),
        "passes_per_block": passes_per_block(sampler),
        "tflops_per_s": flops / seconds / 1e12,
        "peak_memory_bytes": peak_memory_bytes(config.device),
    }
    if config.checksum:
        row["sha256"] = counted[-1].sha256
    return row


@dataclass(frozen=True, kw_only=True)
class VideoTiming:
    """One timed run.

    Attributes:
        seconds: Noise to clean latents, the whole video.
        steady_block_s: Median over the steady blocks (window full, or the second half) of the
            compute a block takes, summed over its steps.
        first_block_s: Start until the first block is clean.
        sha256: Of the latents' bytes.
    """

    seconds: float
    steady_block_s: float
    first_block_s: float
    sha256: str


def time_video(model: CausalWan, config: BenchConfig, sampler: SamplerConfig) -> VideoTiming:
    """Sample one video and time its cells."""
    sizes = bench_models()[config.model]
    blocks = num_blocks(config.latent_frames, sampler.frames_per_block)
    shape = (sampler.frames_per_block, sizes.config.in_channels, *sizes.latent_size)
    noise = initial_noise(1, blocks, shape, seed=0).to(model.device, model.dtype)
    text = torch.zeros(1, 1, sizes.config.text_dim, device=model.device, dtype=model.dtype)
    block_s: dict[int, float] = defaultdict(float)
    previous = first_block_s = 0.0
    last = len(sampler.steps) - 1

    def on_cell(cell: Cell, _: torch.Tensor) -> None:
        nonlocal previous, first_block_s
        synchronise(config.device)
        now = time.perf_counter()
        block_s[cell.block] += now - previous
        if cell.block == 0 and cell.step == last:
            first_block_s = now - started
        previous = now

    synchronise(config.device)
    started = previous = time.perf_counter()
    latents = sample_latents(model, text, noise, sampler, on_cell=on_cell)
    synchronise(config.device)
    seconds = time.perf_counter() - started
    return VideoTiming(
        seconds=seconds,
        steady_block_s=statistics.median(block_s[b] for b in steady_blocks(sampler, blocks)),
        first_block_s=first_block_s,
        sha256=hashlib.sha256(latents.float().cpu().numpy().tobytes()).hexdigest(),
    )


def steady_blocks(sampler: SamplerConfig, blocks: int) -> Sequence[int]:
    """Blocks whose window is full, without the last, which needs no context pass."""
    window_blocks = blocks // 2
    if sampler.window is not None:
        window_blocks = -(-sampler.window // sampler.frames_per_block) - 1
    steady = range(window_blocks, blocks - 1)
    return steady or range(blocks)


def synchronise(device: str) -> None:
    """Wait for a GPU's queue."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def peak_memory_bytes(device: str) -> int:
    """Peak of the GPU's allocator, or of the whole process on a CPU."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
