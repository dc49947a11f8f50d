"""`hiar bench --orders pipelined`: the row of a video that several ranks sample together."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hiar.bench.pipeline_timing import PipelineTiming, time_pipelined
from hiar.bench.probe import PassProbe, choose_fused, measure_contention, measure_link
from hiar.bench.video_timing import median
from hiar.model.geometry import num_blocks, num_frames, token_grid
from hiar.runtime.device import reset_peak_memory
from hiar.sampling.pipelined.stages import split_steps

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan
    from hiar.runtime.progress import Progress
    from hiar.sampling.config import SamplerConfig
    from hiar.sampling.pipelined.chain import Chain


def time_all_ranks(
    model: CausalWan,
    sampler: SamplerConfig,
    chain: Chain,
    progress: Progress,
    *,
    latent_frames: int,
    latent_size: tuple[int, int],
    warmup: int,
    repeats: int,
    fused: str,
) -> tuple[dict[str, Any], PipelineTiming]:
    """Time a pipeline; every rank calls this and gets the same figures.

    Args:
        model: The transformer.
        sampler: Order `diagonal`, context, window.
        chain: The ranks.
        progress: Gets one `advance` a run.
        latent_frames: Latent frames of the video.
        latent_size: Rows and columns of a latent frame.
        warmup, repeats: Runs before counting, and counted.
        fused: off, on or auto.

    Returns:
        The figures of a row, and the last run.
    """
    shares = split_steps(len(sampler.steps), chain.num_ranks)
    probe = PassProbe(model, sampler, latent_size=latent_size, latent_frames=latent_frames)
    choice = choose_fused(probe, fused, chain)
    contention = measure_contention(probe, chain)
    config, size = model.config, sampler.frames_per_block
    block_bytes = 4 * size * config.in_channels * latent_size[0] * latent_size[1]
    link = measure_link(chain, block_bytes, model.device)
    del probe
    reset_peak_memory(model.device)
    runs = []
    for _ in range(warmup + repeats):
        runs.append(
            time_pipelined(
                model, sampler, chain, latent_frames=latent_frames, latent_size=latent_size,
                fused=choice["chosen"],
            )
        )  # fmt: skip
        progress.advance()
    counted = runs[warmup:]
    facts = figures(counted) | {
        "ranks": chain.num_ranks,
        "steps_per_rank": [len(share) for share in shares],
        "fused": choice,
        "contention": contention,
        "link": None if link is None else asdict(link),
        "block_bytes": block_bytes,
        "block_tokens": size * _frame_tokens(model, latent_size),
        "throughput_fps": num_frames(latent_frames) / statistics.median(r.seconds for r in counted),
        "blocks": num_blocks(latent_frames, size),
    }
    return facts, counted[-1]


def _frame_tokens(model: CausalWan, latent_size: tuple[int, int]) -> int:
    rows, columns = token_grid(*latent_size, model.config.patch_size)
    return rows * columns


def figures(runs: Sequence[PipelineTiming]) -> dict[str, Any]:
    """Medians of the counted runs; lists are by rank."""
    last = runs[-1]
    shares = list(zip(*[run.wait_shares() for run in runs], strict=True))
    rank_wait = [statistics.median(share) for share in shares]
    by_rank = zip(*[[rank.processor_s for rank in run.ranks] for run in runs], strict=True)
    processor = [median(values) for values in by_rank]
    peaks = [rank.peak_memory_bytes for rank in last.ranks]
    return {
        "seconds": statistics.median(run.seconds for run in runs),
        "seconds_range": [min(run.seconds for run in runs), max(run.seconds for run in runs)],
        "latency_s": statistics.median(run.latency_s for run in runs),
        "transit_s": statistics.median(run.transit_s for run in runs),
        "first_block_s": statistics.median(run.finished_s[0] for run in runs),
        "processor_s": None if None in processor else max(p for p in processor if p is not None),
        "rank_processor_s": processor,
        "wait_share": max(rank_wait),
        "rank_wait_share": rank_wait,
        "bytes_sent": sum(rank.bytes_sent for rank in last.ranks),
        "rank_bytes_sent": [rank.bytes_sent for rank in last.ranks],
        "peak_memory_bytes": max(peaks),
        "rank_peak_memory_bytes": peaks,
        "passes": {
            "seconds": last.pass_seconds(lambda span: span.seconds),
            "processor_s": last.pass_seconds(lambda span: span.processor_s),
        },
    }
