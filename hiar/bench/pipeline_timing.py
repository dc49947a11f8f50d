"""Timing one video that several ranks sample together."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hiar.bench.video_timing import checksum, median, steady_blocks
from hiar.model.geometry import num_blocks
from hiar.runtime.device import Stopwatch, peak_memory_bytes
from hiar.sampling.pipelined.stream import stream_pipelined
from hiar.sampling.pipelined.timeline import PASSES, Span, Timeline, wait_share

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan
    from hiar.sampling.config import SamplerConfig
    from hiar.sampling.pipelined.chain import Chain


@dataclass(frozen=True, kw_only=True)
class RankTiming:
    """What one rank saw of a timed run.

    Attributes:
        spans: What it did.
        processor_s: Of its process, the whole run; None on a GPU.
        bytes_sent: To the next rank.
        peak_memory_bytes: Of its device or process.
        sha256: Of the latents' bytes; the last rank's alone.
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
        ranks: Theirs, in order.
        sampler: Settings of the video.
        blocks: Of the video.
    """

    ranks: list[RankTiming]
    sampler: SamplerConfig
    blocks: int

    @property
    def spans(self) -> list[Span]:
        """Of all ranks."""
        return [span for rank in self.ranks for span in rank.spans]

    @property
    def finished_s(self) -> list[float]:
        """When each block was clean."""
        last = len(self.sampler.steps) - 1
        ends = {s.block: s.end_s for s in self.ranks[-1].spans if s.step == last and denoises(s)}
        return [ends[block] for block in range(self.blocks)]

    @property
    def seconds(self) -> float:
        """Noise to clean latents, the whole video."""
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
            value: What counts of a span: its seconds, or its processor time.
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
    """Whether a pass denoises: it moves a block on, where a context pass only shows it."""
    return span.kind in ("denoise", "fused")


def time_pipelined(
    model: CausalWan,
    sampler: SamplerConfig,
    chain: Chain,
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
        chain: The ranks.
        latent_frames: Latent frames of the video.
        latent_size: Rows and columns of a latent frame.
        fused: See `stream_pipelined`.
        on_block: Called on the last rank with each clean block.
    """
    blocks = num_blocks(latent_frames, sampler.frames_per_block)
    config, device = model.config, model.device
    text = torch.zeros(1, 1, config.text_dim, device=device, dtype=model.dtype)
    timeline = Timeline(chain.rank, Stopwatch(device))
    finished: list[torch.Tensor] = []
    chain.wait()
    timeline.start()
    started = time.process_time()
    stream = stream_pipelined(
        model, text, sampler, chain, latent_shape=(config.in_channels, *latent_size),
        num_blocks=blocks, fused=fused, timeline=timeline,
    )  # fmt: skip
    for block, latents in stream:
        if chain.is_last:
            finished.append(latents.cpu())
            if on_block is not None:
                on_block(block, latents)
    processor_s = None if device.type == "cuda" else time.process_time() - started
    timing = RankTiming(
        spans=timeline.spans(),
        processor_s=processor_s,
        bytes_sent=timeline.bytes_sent,
        peak_memory_bytes=peak_memory_bytes(device),
        sha256=checksum(torch.cat(finished, dim=1)) if chain.is_last else None,
    )
    return PipelineTiming(ranks=chain.gather(timing), sampler=sampler, blocks=blocks)
