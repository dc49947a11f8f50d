"""`hiar bench`: how fast a model samples on this machine, and what exactly was counted.

Only the transformer is counted, from noise to clean latents: no text encoding, no decoding. One
video at a time. Every figure is the median of the repeats, after the warm-up.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from hiar.bench.config import BenchConfig, bench_models, build_model
from hiar.bench.end_to_end import block_seconds, with_pictures
from hiar.bench.flops import video_flops
from hiar.bench.intervals import interval_figures
from hiar.bench.pipelined import PipelineTiming, pipeline_figures, time_all_ranks, time_pipelined
from hiar.bench.probe import distance, short_sample
from hiar.bench.records import SCHEMA
from hiar.bench.rows import (
    PIPELINED,
    IntervalFigures,
    KernelFloorFigures,
    PipelineFigures,
    Row,
)
from hiar.bench.video_timing import VideoTiming, median, steady_blocks, time_video
from hiar.errors import UsageError
from hiar.model.attention import attend
from hiar.model.attention_backends import (
    MeasuredAttention,
    NamedAttention,
    attention_backend,
)
from hiar.model.attention_kernels import KERNELS, sdpa_choice
from hiar.model.compiled import compile_layers
from hiar.model.fp8 import FP8_NAME, use_fp8_feed_forward
from hiar.model.geometry import num_blocks, num_frames
from hiar.model.transformer import CausalWan
from hiar.runtime.device import (
    check_device,
    device_name,
    matmul_peak,
    num_cores,
    peak_memory_bytes,
    reset_peak_memory,
)
from hiar.runtime.gpu_state import gpu_state
from hiar.runtime.provenance import provenance
from hiar.sampling.config import SamplerConfig
from hiar.sampling.graphs import SteadyGraphs
from hiar.sampling.pipelined.group import PipelineGroup, check_same
from hiar.sampling.pipelined.tasks import split_steps
from hiar.sampling.schedule import passes_per_block

if TYPE_CHECKING:
    from hiar.runtime.progress import Progress

COUNTED = "transformer only; one video; no text encoding, no decoding"


def run_bench(
    config: BenchConfig,
    progress: Progress,
    group: PipelineGroup = PipelineGroup(),  # noqa: B008  (frozen)
    *,
    on_pipelined: Callable[[PipelineTiming], None] | None = None,
    on_sampled: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Time every order; of several ranks, all time `pipelined` and the first alone the others.

    Args:
        config: What to time.
        progress: Progress display; one `advance` a run.
        group: The processes that time together.
        on_pipelined: Called with the last run of order `pipelined`.
        on_sampled: Called with the record of sampling before pictures are timed too, so that it is
            kept if those fail.

    Returns:
        A bench/1 record: rows and provenance. The first rank's record is complete.

    Raises:
        UsageError: For a device, backend or compiler that is not here, or too small a GPU.
    """
    check_device(config.device)
    if PIPELINED in config.orders:
        split_steps(len(config.sampler(PIPELINED).steps), group.ranks.num_ranks)
    model, weights = build_model(config)
    check_same(group.ranks, same_on_all_ranks(config, weights))
    error = prepare_model(model, config)
    peak = group.ranks.from_first(
        matmul_peak(model.device, model.dtype) if group.ranks.is_first else 0.0
    )
    progress.start(len(config.orders) * (config.warmup + config.repeats))
    with named_memory_error(config):
        rows = time_orders(model, config, peak, progress, group, on_pipelined)
        rows = [replace(row, error_against_plain=error) for row in rows]
        if config.decode:
            if on_sampled is not None:
                on_sampled(bench_record(config, rows, weights))
            rows = with_pictures(model, config, rows, group)
    progress.finish()
    return bench_record(config, rows, weights)


def bench_record(
    config: BenchConfig, rows: Sequence[Row], weights: dict[str, str]
) -> dict[str, Any]:
    """The bench/1 record of some rows: what they are of, and where they come from."""
    machine = {
        "device_name": device_name(torch.device(config.device)),
        "threads": torch.get_num_threads(),
        "cores": num_cores(),
    }
    return {
        "schema": SCHEMA,
        "counted": COUNTED,
        "rows": [row.facts() for row in rows],
        "settings": asdict(config) | {"weights": str(config.weights) if config.weights else None},
        "provenance": provenance(config.device) | machine | {"weights": weights},
    }


def prepare_model(model: CausalWan, config: BenchConfig) -> dict[str, float] | None:
    """Give the model the kernels that were asked for.

    Returns:
        What they cost in accuracy, if they compute something else than the plain kernels do: the
        rel-L2 distance of one call's flow and of a short video's latents, from the same noise.
    """
    kernel = KERNELS.get(config.attention)
    is_exact = config.fp8 == "off" and (kernel is None or kernel.is_exact)
    model.attend = attention_backend(config.attention, model.device, model.dtype)
    chosen, size = model.attend, bench_models()[config.model].latent_size
    before = None
    if not is_exact:
        model.attend = attend
        before = short_sample(model, config.sampler(config.orders[0]), size)
        model.attend = chosen
    if config.fp8 == "ffn":
        use_fp8_feed_forward(model)
    after = None if is_exact else short_sample(model, config.sampler(config.orders[0]), size)
    if config.compile:
        compile_layers(model)
    if config.cuda_graphs:
        model.replayer = SteadyGraphs(model)
    if before is None or after is None:
        return None
    return {name: distance(after[name], before[name]) for name in before}


def same_on_all_ranks(config: BenchConfig, weights: dict[str, str]) -> dict[str, Any]:
    """What the ranks of a pipeline must have in common: settings, weights, kind of device."""
    return asdict(config) | {
        "device": config.device.partition(":")[0],
        "device_name": device_name(torch.device(config.device)),
        "threads": torch.get_num_threads(),
        "weights": weights["transformer"],
        "torch": torch.__version__,
    }


@contextmanager
def named_memory_error(config: BenchConfig) -> Iterator[None]:
    """Turn the error of a GPU that is too small into one line that says what to do."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise UsageError(
            f"the GPU's memory is too small for {config.model!r} in {config.dtype}: take "
            "bfloat16, a smaller --window, or order block_first (one cache instead of four)"
        ) from error


def time_orders(
    model: CausalWan,
    config: BenchConfig,
    peak: float,
    progress: Progress,
    group: PipelineGroup,
    on_pipelined: Callable[[PipelineTiming], None] | None,
) -> list[Row]:
    """The rows that this rank has a part in. `peak` is the matrix product's FLOP/s."""
    rows = []
    for order in config.orders:
        if order == PIPELINED:
            row, timing = time_pipelined_order(model, config, peak, progress, group)
            rows.append(row)
            if on_pipelined is not None:
                on_pipelined(timing)
        elif group.ranks.is_first:
            rows.append(time_order(model, config, order, peak, progress))
        group.ranks.wait()
    return rows


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What the counted runs of an order gave; fields as in `Row`."""

    seconds: float
    seconds_range: tuple[float, float]
    processor_s: float | None
    latency_s: float
    first_block_s: float
    peak_memory_bytes: int
    sha256: str | None
    finished_s: Sequence[float]
    intervals: IntervalFigures


def time_order(
    model: CausalWan, config: BenchConfig, order: str, peak: float, progress: Progress
) -> Row:
    """The row of an order that one process runs. `peak` is the matrix product's FLOP/s."""
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
    counted = runs[config.warmup :]
    seconds = [run.seconds for run in counted]
    figures = Figures(
        seconds=statistics.median(seconds),
        seconds_range=(min(seconds), max(seconds)),
        processor_s=median(run.processor_s for run in counted),
        latency_s=statistics.median(run.steady_block_s for run in counted),
        first_block_s=statistics.median(run.first_block_s for run in counted),
        peak_memory_bytes=peak_memory_bytes(model.device),
        sha256=runs[-1].sha256,
        finished_s=runs[-1].finished_s,
        intervals=interval_figures(
            [run.finished_s for run in counted],
            steady_blocks(sampler, len(runs[-1].finished_s)),
            deadline_s=deadline_of(config, sampler),
            work_s=[run.block_s for run in counted] if order == "step_first" else None,
        ),
    )
    floor = floor_figures(counted) if config.kernel_floor else None
    return build_row(model, config, order, figures, peak, compile_s=compile_s, kernel_floor=floor)


def time_pipelined_order(
    model: CausalWan, config: BenchConfig, peak: float, progress: Progress, group: PipelineGroup
) -> tuple[Row, PipelineTiming]:
    """The row of order `pipelined` and its last run, the same on every rank."""
    sampler = config.sampler(PIPELINED)
    sizes = bench_models()[config.model]
    compile_s = None
    if config.compile:

        def run(latent_frames: int) -> None:
            time_pipelined(
                model, sampler, group, latent_frames=latent_frames, latent_size=sizes.latent_size
            )

        compile_s = time_compile(run, sampler)
    probed, runs = time_all_ranks(
        model, sampler, group, progress, latent_frames=config.latent_frames,
        latent_size=sizes.latent_size, warmup=config.warmup, repeats=config.repeats,
        fused=config.fused,
    )  # fmt: skip
    pipeline = pipeline_figures(runs, probed)
    processor_s = [seconds for seconds in pipeline.rank_processor_s if seconds is not None]
    seconds = [run.seconds for run in runs]
    figures = Figures(
        seconds=statistics.median(seconds),
        seconds_range=(min(seconds), max(seconds)),
        processor_s=max(processor_s) if len(processor_s) == group.ranks.num_ranks else None,
        latency_s=statistics.median(run.latency_s for run in runs),
        first_block_s=statistics.median(run.finished_s[0] for run in runs),
        peak_memory_bytes=max(pipeline.rank_peak_memory_bytes),
        sha256=runs[-1].ranks[-1].sha256,
        finished_s=runs[-1].finished_s,
        intervals=interval_figures(
            [run.finished_s for run in runs], steady_blocks(sampler, runs[-1].blocks),
            deadline_s=deadline_of(config, sampler),
        ),
    )  # fmt: skip
    row = build_row(model, config, PIPELINED, figures, peak, compile_s=compile_s, pipeline=pipeline)
    return row, runs[-1]


def deadline_of(config: BenchConfig, sampler: SamplerConfig) -> float:
    """Seconds that the frames of a block play."""
    return block_seconds(sampler.frames_per_block, bench_models()[config.model].fps)


def build_row(
    model: CausalWan,
    config: BenchConfig,
    order: str,
    figures: Figures,
    peak: float,
    *,
    compile_s: float | None,
    kernel_floor: KernelFloorFigures | None = None,
    pipeline: PipelineFigures | None = None,
) -> Row:
    """A row: what was timed, the figures, and what follows from them.

    Args:
        model: The timed model.
        config: What was timed.
        order: Order of the row.
        figures: Medians of the counted runs.
        peak: Floating-point operations a second of one device's matrix product.
        compile_s: Seconds of compiling, not counted.
        kernel_floor: Times of the bare kernels.
        pipeline: What only order `pipelined` has.
    """
    sampler, sizes = config.sampler(order), bench_models()[config.model]
    num_ranks = len(pipeline.steps_per_rank) if pipeline is not None else 1
    blocks = num_blocks(config.latent_frames, sampler.frames_per_block)
    rate = video_flops(sizes.config, sampler, blocks, sizes.frame_tokens) / figures.seconds
    is_fused = pipeline is not None and pipeline.fused.chosen
    frames = num_frames(config.latent_frames)
    num_devices = 1 if config.share_gpu else num_ranks
    num_gpus = num_devices if config.device.startswith("cuda") else 0
    return Row(
        order=order,
        context=sampler.context,
        wave_batch=sampler.wave_batch,
        gpus=num_gpus,
        ranks=num_ranks,
        config=config.model,
        dtype=config.dtype,
        backend=config.attention,
        compile=config.compile,
        options=config.options,
        latent_frames=config.latent_frames,
        window=config.window,
        repeats=config.repeats,
        passes_per_block=len(sampler.steps) if is_fused else passes_per_block(sampler),
        throughput_fps=frames / figures.seconds,
        dit_fps=frames / figures.seconds,
        pixel_frames=frames,
        video_fps=sizes.fps,
        **machine_facts(model, config),
        tflops_per_s=rate / 1e12,
        matmul_peak_tflops_per_s=peak / 1e12,
        matmul_peak_share=rate / (peak * num_devices),
        compile_s=compile_s,
        kernel_floor=kernel_floor,
        pipeline=pipeline,
        **vars(replace(figures, sha256=figures.sha256 if config.checksum else None)),
    )


def machine_facts(model: CausalWan, config: BenchConfig) -> dict[str, Any]:
    """What a row says of the machine and of the kernels that ran on it."""
    state = gpu_state(model.device)
    return {
        "card": device_name(model.device),
        "driver": state.driver if state else None,
        "clocks": state.clocks if state else None,
        "kernels": kernel_names(model, config),
        "backend_choices": (
            dict(model.attend.choices) if isinstance(model.attend, MeasuredAttention) else None
        ),
    }


def kernel_names(model: CausalWan, config: BenchConfig) -> dict[str, str]:
    """What computes attention, matrix products and the operations between them."""
    chosen = config.attention
    if isinstance(model.attend, MeasuredAttention):
        chosen = f"auto: {', '.join(sorted(set(model.attend.choices.values())))}"
    elif chosen == "sdpa":
        sizes = model.config
        kernel = sdpa_choice(model.device, model.dtype, sizes.num_heads, sizes.head_dim)
        chosen = f"sdpa: {kernel}"
    elif isinstance(model.attend, NamedAttention) and model.attend.refusals:
        chosen = f"{chosen}, sdpa for {', '.join(model.attend.refusals)}"
    return {
        "attention": chosen,
        "products": f"{config.dtype}, {FP8_NAME}" if config.fp8 == "ffn" else config.dtype,
        "between": f"{'compiled' if config.compile else 'eager'}"
        f"{', CUDA graphs' if config.cuda_graphs else ''}",
    }


def time_compile(run: Callable[[int], object], sampler: SamplerConfig) -> float:
    """Seconds that compiling adds to the first video, one long enough to meet every shape."""
    latent_frames = sampler.frames_per_block * (len(sampler.steps) if sampler.wave_batch else 2)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        run(latent_frames)
        seconds.append(time.perf_counter() - started)
    return max(0.0, seconds[0] - seconds[1])


def floor_figures(runs: list[VideoTiming]) -> KernelFloorFigures:
    """The bare kernels' time, and how many times as long the sampler took, run by run."""
    ratios = [run.seconds / run.floor_s for run in runs if run.floor_s]
    shares = [
        run.processor_s / run.floor_processor_s
        for run in runs
        if run.processor_s and run.floor_processor_s
    ]
    return KernelFloorFigures(
        kernel_floor_s=median(run.floor_s for run in runs),
        kernel_floor_processor_s=median(run.floor_processor_s for run in runs),
        kernel_ratio=statistics.median(ratios),
        kernel_ratio_range=(min(ratios), max(ratios)),
        kernel_ratio_processor=median(shares),
    )
