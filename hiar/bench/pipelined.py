"""`hiar bench --orders pipelined`: timing a video that several ranks sample together."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hiar.bench.probe import PassProbe, choose_fused, measure_contention, measure_link
from hiar.bench.rows import Contention, FusedChoice, Link, PassTable, PipelineFigures
from hiar.bench.video_timing import checksum, median, steady_blocks
from hiar.model.geometry import num_blocks, token_grid
from hiar.runtime.device import Stopwatch, peak_memory_bytes, reset_peak_memory
from hiar.sampling.pipelined.stream import stream_pipelined
from hiar.sampling.pipelined.tasks import split_steps
from hiar.sampling.pipelined.timeline import PASSES, Span, Timeline, wait_share

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan
    from hiar.runtime.progress import Progress
    from hiar.sampling.config import SamplerConfig
    from hiar.sampling.pipelined.group import PipelineGroup


@dataclass(frozen=True, kw_only=True)
class RankTiming:
    """One rank's part of a timed run.

    Attributes:
        spans: What the rank did when.
        processor_s: Processor seconds of its process, the whole run; None on a GPU.
        bytes_sent: Bytes sent to the next rank.
        peak_memory_bytes: Peak memory of its device or process.
        sha256: SHA-256 of the latents; None on all ranks but the last.
    """

    spans: list[Span]
    processor_s: float | None
    bytes_sent: int
    peak_memory_bytes: int
    sha256: str | None


@dataclass(frozen=True, kw_only=True)
class PipelineTiming:
    """One timed run of all ranks.

    Attributes:
        ranks: Parts of the ranks, first to last.
        sampler: Settings of the video.
        blocks: Blocks of the video.
    """

    ranks: list[RankTiming]
    sampler: SamplerConfig
    blocks: int

    @property
    def spans(self) -> list[Span]:
        """Spans of all ranks, rank after rank."""
        return [span for rank in self.ranks for span in rank.spans]

    @property
    def finished_s(self) -> list[float]:
        """Seconds from the start until each block was clean."""
        last = len(self.sampler.steps) - 1
        ends = {s.block: s.end_s for s in self.ranks[-1].spans if s.step == last and denoises(s)}
        return [ends[block] for block in range(self.blocks)]

    @property
    def seconds(self) -> float:
        """Seconds from noise to clean latents, the whole video."""
        return self.finished_s[-1]

    @property
    def latency_s(self) -> float:
        """Median time from one finished block to the next, while the window is full."""
        ends = self.finished_s
        steady = [block for block in steady_blocks(self.sampler, self.blocks) if block > 0]
        gaps = [ends[block] - ends[block - 1] for block in steady]
        return statistics.median(gaps) if gaps else self.seconds

    @property
    def transit_s(self) -> float:
        """Median time of a steady block from noise to clean, on its way through all ranks."""
        starts = {s.block: s.start_s for s in self.ranks[0].spans if s.step == 0 and denoises(s)}
        steady = steady_blocks(self.sampler, self.blocks)
        return statistics.median(self.finished_s[block] - starts[block] for block in steady)

    def wait_shares(self) -> list[float]:
        """Share of the steady state that each rank spent waiting for a neighbour."""
        steady = steady_blocks(self.sampler, self.blocks)
        return [wait_share(rank.spans, steady) for rank in self.ranks]

    def pass_seconds(self, value: Callable[[Span], float | None]) -> dict[str, list[float | None]]:
        """Seconds of a pass by kind and block: the median over steps and ranks, None without one.

        Args:
            value: Function that reads the time of a span: its seconds, or its processor seconds.
        """
        found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for span in self.spans:
            seconds = value(span)
            if span.kind in PASSES and seconds is not None:
                found[span.kind][span.block].append(seconds)
        return {
            kind: [median(by_block.get(block, ())) for block in range(self.blocks)]
            for kind, by_block in found.items()
        }


def denoises(span: Span) -> bool:
    """Whether the span is a denoising (or fused) pass rather than a context pass."""
    return span.kind in ("denoise", "fused")


def time_pipelined(
    model: CausalWan,
    sampler: SamplerConfig,
    group: PipelineGroup,
    *,
    latent_frames: int,
    latent_size: tuple[int, int],
    fused: bool = False,
    on_block: Callable[[int, torch.Tensor], None] | None = None,
) -> PipelineTiming:
    """Sample one video with all ranks; every rank gets the timing of all.

    Args:
        model: The transformer.
        sampler: Order `diagonal`, context, window.
        group: The processes of the pipeline.
        latent_frames: Latent frames of the video.
        latent_size: Rows and columns of a latent frame.
        fused: Run context passes with the next block's denoising, see `stream_pipelined`.
        on_block: Called on the last rank with each clean block.
    """
    blocks = num_blocks(latent_frames, sampler.frames_per_block)
    config, device = model.config, model.device
    text = torch.zeros(1, 1, config.text_dim, device=device, dtype=model.dtype)
    timeline = Timeline(group.ranks.rank, Stopwatch(device))
    finished: list[torch.Tensor] = []
    group.ranks.wait()
    timeline.start()
    started = time.process_time()
    stream = stream_pipelined(
        model, text, sampler, group, latent_shape=(config.in_channels, *latent_size),
        num_blocks=blocks, fused=fused, timeline=timeline,
    )  # fmt: skip
    for block, latents in stream:
        if group.ranks.is_last:
            finished.append(latents.cpu())
            if on_block is not None:
                on_block(block, latents)
    processor_s = None if device.type == "cuda" else time.process_time() - started
    timing = RankTiming(
        spans=timeline.spans(),
        processor_s=processor_s,
        bytes_sent=timeline.bytes_sent,
        peak_memory_bytes=peak_memory_bytes(device),
        sha256=checksum(torch.cat(finished, dim=1)) if group.ranks.is_last else None,
    )
    return PipelineTiming(ranks=group.ranks.gather(timing), sampler=sampler, blocks=blocks)


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What was measured before the video.

    Attributes:
        fused: Whether to fuse passes.
        contention: What ranks lose to one another; None for one rank.
        link: Transfer times between neighbours; None for one rank.
        block_bytes: Bytes of a block of latents.
        block_tokens: Tokens of a block.
    """

    fused: FusedChoice
    contention: Contention | None
    link: Link | None
    block_bytes: int
    block_tokens: int


def time_all_ranks(
    model: CausalWan,
    sampler: SamplerConfig,
    group: PipelineGroup,
    progress: Progress,
    *,
    latent_frames: int,
    latent_size: tuple[int, int],
    warmup: int,
    repeats: int,
    fused: str,
) -> tuple[Probed, list[PipelineTiming]]:
    """Time a pipeline; every rank calls this and gets the same figures.

    Args:
        model: The transformer.
        sampler: Order `diagonal`, context, window.
        group: The processes of the pipeline.
        progress: Progress display; one `advance` a run.
        latent_frames: Latent frames of the video.
        latent_size: Rows and columns of a latent frame.
        warmup: Runs before counting.
        repeats: Counted runs.
        fused: off, on or auto.

    Returns:
        What was measured before, and the counted runs.
    """
    probe = PassProbe(model, sampler, latent_size=latent_size, latent_frames=latent_frames)
    choice = choose_fused(probe, fused, group.ranks)
    contention = measure_contention(probe, group.ranks)
    config, size = model.config, sampler.frames_per_block
    block_bytes = 4 * size * config.in_channels * latent_size[0] * latent_size[1]
    rows, columns = token_grid(*latent_size, config.patch_size)
    probed = Probed(
        fused=choice,
        contention=contention,
        link=measure_link(group.ranks, block_bytes, group.transport(model.device)),
        block_bytes=block_bytes,
        block_tokens=size * rows * columns,
    )
    del probe  # its cache would count as memory of the video
    reset_peak_memory(model.device)
    runs = []
    for _ in range(warmup + repeats):
        runs.append(
            time_pipelined(
                model, sampler, group, latent_frames=latent_frames, latent_size=latent_size,
                fused=choice.chosen,
            )
        )  # fmt: skip
        progress.advance()
    return probed, runs[warmup:]


def pipeline_figures(runs: Sequence[PipelineTiming], probed: Probed) -> PipelineFigures:
    """Medians of the counted runs; bytes, memory and passes are those of the last run."""
    last = runs[-1]
    shares = zip(*[run.wait_shares() for run in runs], strict=True)
    rank_wait = [statistics.median(share) for share in shares]
    by_rank = zip(*[[rank.processor_s for rank in run.ranks] for run in runs], strict=True)
    steps = split_steps(len(last.sampler.steps), len(last.ranks))
    return PipelineFigures(
        transit_s=statistics.median(run.transit_s for run in runs),
        wait_share=max(rank_wait),
        rank_wait_share=rank_wait,
        rank_processor_s=[median(values) for values in by_rank],
        bytes_sent=sum(rank.bytes_sent for rank in last.ranks),
        rank_bytes_sent=[rank.bytes_sent for rank in last.ranks],
        rank_peak_memory_bytes=[rank.peak_memory_bytes for rank in last.ranks],
        passes=PassTable(
            seconds=last.pass_seconds(lambda span: span.seconds),
            processor_s=last.pass_seconds(lambda span: span.processor_s),
        ),
        steps_per_rank=[len(share) for share in steps],
        fused=probed.fused,
        contention=probed.contention,
        link=probed.link,
        block_bytes=probed.block_bytes,
        block_tokens=probed.block_tokens,
        blocks=last.blocks,
    )
