"""`hiar bench`: how fast a model samples on this machine, and what exactly was counted.

Counted is the transformer alone, from noise to clean latents: no text encoding, no decoding. One
video at a time. Every figure is the median of the repeats, after the warm-up.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch

from hiar.bench.end_to_end import (
    block_stream,
    build_decoder,
    end_to_end_facts,
    time_end_to_end,
    time_text,
)
from hiar.bench.flops import video_flops
from hiar.bench.pipeline_timing import PipelineTiming, time_pipelined
from hiar.bench.pipelined import time_all_ranks
from hiar.bench.records import PIPELINED, SCHEMA
from hiar.bench.video_timing import VideoTiming, median, time_video
from hiar.errors import UsageError
from hiar.loading import TINY_WEIGHTS
from hiar.model.attention_backends import MeasuredAttention, attention_backend
from hiar.model.compiled import compile_layers
from hiar.model.config import ATTENTION_BACKENDS, WanConfig
from hiar.model.geometry import SPATIAL_STRIDE, num_blocks, num_frames, token_grid
from hiar.model.transformer import CausalWan
from hiar.runtime.device import (
    check_device,
    device_name,
    matmul_peak,
    num_cores,
    peak_memory_bytes,
    reset_peak_memory,
)
from hiar.runtime.provenance import provenance, weights_sha256
from hiar.sampling.config import Order, SamplerConfig
from hiar.sampling.pipelined.chain import Chain, check_same, free_gpu
from hiar.sampling.pipelined.stages import split_steps
from hiar.sampling.schedule import passes_per_block
from hiar.tiny.preset import asset
from hiar.tiny.world import SIZE_PX
from hiar.weights.checkpoint import load_transformer

if TYPE_CHECKING:
    from hiar.runtime.progress import Progress

COUNTED = "transformer only; one video; no text encoding, no decoding"
FUSED = ("off", "on", "auto")


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
        orders: Orders to time, each with its own context (clean for block_first, else output);
            `pipelined` is the order diagonal with its steps shared out among the ranks.
        latent_frames: Latent frames of the video.
        window: Latent frames visible; None = all.
        warmup, repeats: Runs before counting, and counted.
        dtype: Of the model.
        device: Where it runs.
        attention: Backend, see `hiar.model.attention_backends`.
        compile: Fuse what lies between the kernels; compile time is measured apart.
        wave_batch: Run the cells of a diagonal wave in one call.
        fused: Of `pipelined`: off, on, or auto (measures both); see `stream_pipelined`.
        kernel_floor: Time the bare attention and matrix kernels of every cell right after it (of
            the orders that one process runs).
        weights: Transformer weights; None takes the shipped ones of the tiny model.
        random_weights: Time random weights: speed does not depend on their values.
        checksum: Add the SHA-256 of the latents.
        decode: Time each order again with a VAE and a text encoder around it.
    """

    model: str = "tiny"
    orders: tuple[str, ...] = ("block_first", "step_first")
    latent_frames: int = 45
    window: int | None = 21
    warmup: int = 1
    repeats: int = 3
    dtype: str = "float32"
    device: str = "cpu"
    attention: str = "sdpa"
    compile: bool = False
    wave_batch: bool = False
    fused: str = "off"
    kernel_floor: bool = False
    weights: Path | None = None
    random_weights: bool = False
    checksum: bool = False
    decode: bool = False

    def __post_init__(self) -> None:
        _check_choices("config", [self.model], bench_models())
        # hybrid needs settings that this command has no flags for
        known = [order for order in get_args(Order) if order != "hybrid"]
        _check_choices("order", self.orders, [*known, PIPELINED])
        _check_choices("fused", [self.fused], FUSED)
        _check_choices("dtype", [self.dtype], ("float32", "bfloat16", "float16"))
        _check_choices("attention", [self.attention], ATTENTION_BACKENDS)
        if not self.orders:
            raise UsageError("no order to time: give one or more, such as block_first,step_first")
        if self.warmup < 0 or self.repeats < 1:
            raise UsageError("warmup must be at least 0 and repeats at least 1")
        if self.wave_batch and "diagonal" not in self.orders:
            raise UsageError("--wave-batch batches the waves of order 'diagonal': add it to orders")
        if self.fused != "off" and PIPELINED not in self.orders:
            raise UsageError(f"--fused {self.fused} is for order 'pipelined': add it to orders")
        num_blocks(self.latent_frames, self.sampler(self.orders[0]).frames_per_block)

    def sampler(self, order: str) -> SamplerConfig:
        """The sampler settings of one order."""
        base = SamplerConfig(window=self.window)
        if order == "block_first":
            return replace(base, order="block_first", context="clean")
        if order == PIPELINED:
            return replace(base, order="diagonal")
        batched = self.wave_batch and order == "diagonal"
        return replace(base, order=order, wave_batch=batched)  # type: ignore[arg-type]


def _check_choices(name: str, values: Iterable[str], known: Iterable[str]) -> None:
    for value in values:
        if value not in known:
            raise UsageError(f"{name} {value!r} is unknown: use one of {', '.join(known)}")


def run_bench(
    config: BenchConfig,
    progress: Progress,
    chain: Chain = Chain(),  # noqa: B008  (frozen)
    *,
    on_pipelined: Callable[[PipelineTiming], None] | None = None,
) -> dict[str, Any]:
    """Time every order; of several ranks, all time `pipelined` and the first alone the others.

    Args:
        config: What to time.
        progress: Gets one `advance` a run.
        chain: This process among those that time together.
        on_pipelined: Called with the last run of order `pipelined`.

    Returns:
        A bench/1 record: rows and provenance; the first rank's is whole.

    Raises:
        UsageError: For a device, backend or compiler that is not here, or too small a GPU.
    """
    check_device(config.device)
    if PIPELINED in config.orders:
        split_steps(len(config.sampler(PIPELINED).steps), chain.num_ranks)
    model, weights = build_model(config)
    check_same(chain, same_on_all_ranks(config, weights))
    model.attend = attention_backend(config.attention, model.device, model.dtype)
    if config.compile:
        compile_layers(model)
    peak = chain.from_first(matmul_peak(model.device, model.dtype) if chain.is_first else 0.0)
    progress.start(len(config.orders) * (config.warmup + config.repeats))
    rows = []
    try:
        for order in config.orders:
            if order == PIPELINED:
                row, timing = time_pipelined_order(model, config, peak, progress, chain)
                rows.append(row)
                if on_pipelined is not None:
                    on_pipelined(timing)
            elif chain.is_first:
                rows.append(time_order(model, config, order, peak, progress))
            chain.wait()
        if config.decode:
            add_pictures(model, config, rows, chain)
    except torch.cuda.OutOfMemoryError as error:
        raise UsageError(
            f"the GPU's memory is too small for {config.model!r} in {config.dtype}: take "
            "bfloat16, a smaller --window, or order block_first (one cache instead of four)"
        ) from error
    progress.finish()
    machine = {
        "device_name": device_name(model.device),
        "threads": torch.get_num_threads(),
        "cores": num_cores(),
    }
    facts = provenance(config.device) | machine | {"weights": weights}
    settings = asdict(config) | {"weights": str(config.weights) if config.weights else None}
    return {
        "schema": SCHEMA,
        "counted": COUNTED,
        "rows": rows,
        "settings": settings,
        "provenance": facts,
    }


def same_on_all_ranks(config: BenchConfig, weights: dict[str, str]) -> dict[str, Any]:
    """What the ranks of a pipeline must have in common: settings, weights, kind of device."""
    return asdict(config) | {
        "device": config.device.partition(":")[0],
        "device_name": device_name(torch.device(config.device)),
        "threads": torch.get_num_threads(),
        "weights": weights["transformer"],
        "torch": torch.__version__,
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
    model: CausalWan, config: BenchConfig, order: str, peak: float, progress: Progress
) -> dict[str, Any]:
    """One row: the medians of the counted runs. `peak` is the matrix product's FLOP/s."""
    sampler = config.sampler(order)

    def run(latent_frames: int = config.latent_frames) -> VideoTiming:
        size = bench_models()[config.model].latent_size
        return time_video(
            model, sampler, latent_frames=latent_frames, latent_size=size,
            kernel_floor=config.kernel_floor,
        )  # fmt: skip

    compile_s = time_compile(run, sampler) if config.compile else None
    reset_peak_memory(model.device)
    runs = []
    for _ in range(config.warmup + config.repeats):
        runs.append(run())
        progress.advance()
    row = describe(config, order) | measure(config, sampler, runs[config.warmup :], peak)
    row["compile_s"] = compile_s
    row["peak_memory_bytes"] = peak_memory_bytes(model.device)
    if isinstance(model.attend, MeasuredAttention):
        row["backend_choices"] = dict(model.attend.choices)
    if config.checksum:
        row["sha256"] = runs[-1].sha256
    return row


def time_pipelined_order(
    model: CausalWan, config: BenchConfig, peak: float, progress: Progress, chain: Chain
) -> tuple[dict[str, Any], PipelineTiming]:
    """The row of order `pipelined` and its last run, the same on every rank."""
    sampler = config.sampler(PIPELINED)
    sizes = bench_models()[config.model]
    compile_s = None
    if config.compile:

        def run(latent_frames: int) -> None:
            time_pipelined(
                model, sampler, chain, latent_frames=latent_frames, latent_size=sizes.latent_size
            )

        compile_s = time_compile(run, sampler)
    facts, timing = time_all_ranks(
        model, sampler, chain, progress, latent_frames=config.latent_frames,
        latent_size=sizes.latent_size, warmup=config.warmup, repeats=config.repeats,
        fused=config.fused,
    )  # fmt: skip
    row = describe(config, PIPELINED, chain.num_ranks) | facts
    row |= rates(config, sampler, row["seconds"], peak, chain.num_ranks)
    if row["fused"]["chosen"]:
        row["passes_per_block"] = len(sampler.steps)
    row["compile_s"] = compile_s
    if isinstance(model.attend, MeasuredAttention):
        row["backend_choices"] = dict(model.attend.choices)
    if config.checksum:
        row["sha256"] = timing.ranks[-1].sha256
    return row, timing


def add_pictures(
    model: CausalWan, config: BenchConfig, rows: list[dict[str, Any]], chain: Chain
) -> None:
    """Add to each row what the same video takes with text before it and pictures after it."""
    decoder = build_decoder(config.model, free_gpu(model.device) or model.device)
    blocks = num_blocks(config.latent_frames, config.sampler(config.orders[0]).frames_per_block)
    text_s = 0.0
    if chain.is_first:
        text_s = time_text(config.model, model.config.text_len, model.device, config.repeats)
    chain.wait()
    for order in config.orders:
        is_pipelined = order == PIPELINED
        row: dict[str, Any] = next((row for row in rows if row["order"] == order), {})
        stream = partial(
            block_stream, model, config.sampler(order), chain, blocks=blocks,
            latent_size=bench_models()[config.model].latent_size, is_pipelined=is_pipelined,
            fused=is_pipelined and row["fused"]["chosen"],
        )  # fmt: skip
        takes_part = is_pipelined or chain.is_first
        runs = [
            time_end_to_end(stream, decoder, chain, is_pipelined=is_pipelined)
            for _ in range(takes_part * (config.warmup + config.repeats))
        ]
        counted = chain.gather(runs[config.warmup :])[-1 if is_pipelined else 0]
        row |= end_to_end_facts(counted, config.latent_frames, text_s)


def time_compile(run: Callable[[int], object], sampler: SamplerConfig) -> float:
    """Seconds that compiling adds to the first video, one long enough to meet every shape."""
    latent_frames = sampler.frames_per_block * (len(sampler.steps) if sampler.wave_batch else 2)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        run(latent_frames)
        seconds.append(time.perf_counter() - started)
    return max(0.0, seconds[0] - seconds[1])


def describe(config: BenchConfig, order: str, num_ranks: int = 1) -> dict[str, Any]:
    """What a row timed."""
    sampler = config.sampler(order)
    return {
        "order": order,
        "context": sampler.context,
        "wave_batch": sampler.wave_batch,
        "gpus": num_ranks if config.device.startswith("cuda") else 0,
        "ranks": num_ranks,
        "config": config.model,
        "dtype": config.dtype,
        "backend": config.attention,
        "compile": config.compile,
        "latent_frames": config.latent_frames,
        "window": config.window,
        "repeats": config.repeats,
        "passes_per_block": passes_per_block(sampler),
    }


def measure(
    config: BenchConfig, sampler: SamplerConfig, runs: list[VideoTiming], peak: float
) -> dict[str, Any]:
    """The medians of the counted runs, and what follows from them."""
    seconds = statistics.median(run.seconds for run in runs)
    return (
        {
            "seconds": seconds,
            "seconds_range": [min(r.seconds for r in runs), max(r.seconds for r in runs)],
            "processor_s": median(run.processor_s for run in runs),
            "throughput_fps": num_frames(config.latent_frames) / seconds,
            "latency_s": statistics.median(run.steady_block_s for run in runs),
            "first_block_s": statistics.median(run.first_block_s for run in runs),
        }
        | rates(config, sampler, seconds, peak)
        | (floor_facts(runs) if config.kernel_floor else {})
    )


def rates(
    config: BenchConfig, sampler: SamplerConfig, seconds: float, peak: float, num_ranks: int = 1
) -> dict[str, float]:
    """Operations a second of a whole video, and their share of what the ranks' devices can do."""
    sizes = bench_models()[config.model]
    rows, columns = token_grid(*sizes.latent_size, sizes.config.patch_size)
    blocks = num_blocks(config.latent_frames, sampler.frames_per_block)
    rate = video_flops(sizes.config, sampler, blocks, rows * columns) / seconds
    return {
        "tflops_per_s": rate / 1e12,
        "matmul_peak_tflops_per_s": peak / 1e12,
        "matmul_peak_share": rate / (peak * num_ranks),
    }


def floor_facts(runs: list[VideoTiming]) -> dict[str, Any]:
    """The bare kernels' time, and how many times that the sampler took, run by run."""
    ratios = [run.seconds / run.floor_s for run in runs if run.floor_s]
    shares = [
        run.processor_s / run.floor_processor_s
        for run in runs
        if run.processor_s and run.floor_processor_s
    ]
    return {
        "kernel_floor_s": median(run.floor_s for run in runs),
        "kernel_floor_processor_s": median(run.floor_processor_s for run in runs),
        "kernel_ratio": statistics.median(ratios),
        "kernel_ratio_range": [min(ratios), max(ratios)],
        "kernel_ratio_processor": median(shares),
    }
