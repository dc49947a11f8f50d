"""A row of a bench/1 record: what was timed and what came out.

In the record a row is flat: the fields of its groups (`intervals`, `kernel_floor`, `pipeline`,
`pictures`) stand beside its own. Reading a row needs no torch.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, TypeVar

from hiar.errors import UsageError

PIPELINED = "pipelined"
"""Name of the order `diagonal` with its steps shared out among the ranks."""
GROUPS = ("intervals", "kernel_floor", "pipeline", "pictures")
ABSENT_IF_NONE = ("backend_choices", "sha256", "error_against_plain")
"""Fields of a row that have no key in the record unless they were asked for."""
NEWER = (
    "options", "pixel_frames", "dit_fps", "video_fps", "finished_s", "card", "driver", "clocks",
    "kernels",
)  # fmt: skip
"""Fields of a row that older records do not have."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class IntervalFigures:
    """How evenly blocks come, over all counted runs together.

    Attributes:
        interval_p50_s, interval_p95_s, interval_p99_s: Percentiles of the seconds from one clean
            block to the next while the window is full. Order `step_first` finishes all blocks in
            its last sweep: there they are of a block's compute, summed over its steps.
        interval_count: Number of intervals that the percentiles are of.
        deadline_s: Seconds that a block's frames play at the video's frame rate.
        deadline_misses: Blocks after a video's first one that came later after the block before
            than that one plays; None of order `step_first`, which does not stream.
        deadline_blocks: Number of blocks that could have missed.
    """

    interval_p50_s: float
    interval_p95_s: float
    interval_p99_s: float
    interval_count: int
    deadline_s: float
    deadline_misses: int | None
    deadline_blocks: int


@dataclass(frozen=True, kw_only=True)
class KernelFloorFigures:
    """The bare kernels of the same calls, and how many times as long the sampler took.

    Attributes:
        kernel_floor_s: Median seconds of the bare kernels.
        kernel_floor_processor_s: The same in processor time; None on a GPU.
        kernel_ratio: Median of the sampler's seconds over the kernels', run by run.
        kernel_ratio_range: Smallest and largest of these ratios.
        kernel_ratio_processor: Median ratio of processor times; None on a GPU.
    """

    kernel_floor_s: float | None
    kernel_floor_processor_s: float | None
    kernel_ratio: float
    kernel_ratio_range: Sequence[float]
    kernel_ratio_processor: float | None


@dataclass(frozen=True, kw_only=True)
class FusedChoice:
    """Whether a context pass ran together with the next block's denoising pass.

    Attributes:
        mode: What was asked for: off, on or auto.
        chosen: Whether passes were fused.
        apart_s, fused_s: Seconds of both ways, which `auto` compares; None for other modes.
    """

    chosen: bool
    mode: str = "off"
    apart_s: float | None = None
    fused_s: float | None = None

    def facts(self) -> dict[str, Any]:
        """The choice for a record."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Contention:
    """A steady denoising pass of each rank while the others rest, and of all at once.

    Attributes:
        alone_s: Seconds of the pass while the other ranks rest, by rank; older records have one
            number here and in `together_s`.
        together_s: Seconds of the pass while all ranks run one, by rank.
        factor: How many times as long a pass takes when all ranks run: 1 where nothing is shared.
    """

    alone_s: Sequence[float] | float
    together_s: Sequence[float] | float
    factor: float

    @classmethod
    def of(cls, alone_s: Sequence[float], together_s: Sequence[float]) -> Contention:
        """The contention of ranks whose passes took so long.

        Each rank is compared with itself, since the cores of a machine may differ. The mean is
        taken, since a rank that is slow for a while is waited for and catches up.
        """
        pairs = zip(together_s, alone_s, strict=True)
        factor = statistics.fmean(together / alone for together, alone in pairs)
        return cls(alone_s=alone_s, together_s=together_s, factor=factor)


@dataclass(frozen=True, kw_only=True)
class Link:
    """A transfer of n bytes takes `latency_s + n / bytes_per_s`."""

    latency_s: float
    bytes_per_s: float

    def seconds(self, num_bytes: float) -> float:
        """How long a transfer takes."""
        return self.latency_s + num_bytes / self.bytes_per_s


@dataclass(frozen=True, kw_only=True)
class PassTable:
    """Time of a pass by kind (denoise, context, fused), then by block; None without such a pass.

    Attributes:
        seconds: Wall-clock seconds.
        processor_s: Processor seconds; empty on a GPU.
    """

    seconds: Mapping[str, Sequence[float | None]]
    processor_s: Mapping[str, Sequence[float | None]]


@dataclass(frozen=True, kw_only=True)
class PipelineFigures:
    """What only a row of order `pipelined` has; lists are by rank.

    Attributes:
        transit_s: Median seconds of a steady block from noise to clean, through all ranks.
        wait_share: Largest of `rank_wait_share`.
        rank_wait_share: Share of the steady state that each rank waits for a neighbour, 0 to 1.
        rank_processor_s: Processor seconds of each rank; None on a GPU.
        bytes_sent: Bytes that all ranks sent in one video.
        rank_bytes_sent: Bytes that each rank sent in one video.
        rank_peak_memory_bytes: Peak memory of each rank.
        passes: Times of the passes, in the last run.
        steps_per_rank: Denoising steps that each rank owns.
        fused: Whether passes were fused, and why.
        contention: What ranks lose to one another; None for one rank.
        link: Transfer times between neighbours; None for one rank.
        block_bytes: Bytes of a block of latents.
        block_tokens: Tokens of a block.
        blocks: Blocks of the video.
    """

    transit_s: float
    wait_share: float
    rank_wait_share: Sequence[float]
    rank_processor_s: Sequence[float | None]
    bytes_sent: int
    rank_bytes_sent: Sequence[int]
    rank_peak_memory_bytes: Sequence[int]
    passes: PassTable
    steps_per_rank: Sequence[int]
    fused: FusedChoice
    contention: Contention | None
    link: Link | None
    block_bytes: int
    block_tokens: int
    blocks: int

    def facts(self) -> dict[str, Any]:
        """The figures for a record."""
        return asdict(self) | {"fused": self.fused.facts()}

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> PipelineFigures:
        """The figures of a row in a record."""
        crowd, link = facts.get("contention"), facts.get("link")
        groups = {
            "passes": _read(PassTable, facts.get("passes") or {}),
            "fused": _read(FusedChoice, facts.get("fused") or {}),
            "contention": _read(Contention, crowd) if crowd else None,
            "link": _read(Link, link) if link else None,
        }
        return _read(cls, dict(facts) | groups)


@dataclass(frozen=True, kw_only=True)
class PictureFigures:
    """The same video with a text encoder before the transformer and a decoder after it: medians.

    Attributes:
        end_to_end_s: Seconds from noise to the last picture.
        end_to_end_fps: Decoded frames over `end_to_end_s`.
        first_frame_s: Seconds from noise to the pictures of the first block.
        text_s: Seconds to embed one prompt; None where transformers is not installed.
        first_frame_with_text_s: Sum of `first_frame_s` and `text_s`.
        decoder: Decoder of the pictures, see `hiar.bench.end_to_end.DECODERS`.
        overlapped: Whether a block was decoded while the next one was sampled.
        end_to_end_interval_p50_s, end_to_end_interval_p95_s, end_to_end_interval_p99_s: Percentiles
            of the seconds from the pictures of one steady block to those of the next.
        end_to_end_deadline_misses: See `IntervalFigures`; counted for pictures.
        end_to_end_peak_memory_bytes: Peak memory of the process or GPU that decodes.
        sampled_s, decoded_s: Seconds from noise until the latents and the pictures of each block
            were there, in the last run.
    """

    end_to_end_s: float
    end_to_end_fps: float
    first_frame_s: float
    text_s: float | None
    first_frame_with_text_s: float | None
    decoder: str | None = None
    overlapped: bool | None = None
    end_to_end_interval_p50_s: float | None = None
    end_to_end_interval_p95_s: float | None = None
    end_to_end_interval_p99_s: float | None = None
    end_to_end_deadline_misses: int | None = None
    end_to_end_peak_memory_bytes: int | None = None
    sampled_s: Sequence[float] | None = None
    decoded_s: Sequence[float] | None = None

    def facts(self) -> dict[str, Any]:
        """The figures for a record; those that an older record lacks are left out."""
        known = asdict(self)
        kept = ("text_s", "first_frame_with_text_s")
        return {name: value for name, value in known.items() if value is not None or name in kept}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement: an order, its settings, and the medians of the counted runs.

    Attributes:
        order: Order of the cells, or `pipelined`.
        context: Noise level at which earlier blocks are seen.
        wave_batch: Whether the cells of a wave ran in one call.
        gpus: GPUs that took part; 0 on CPUs.
        ranks: Processes that shared the video.
        config: Name of the model's sizes.
        dtype: Data type of the model.
        backend: Attention backend.
        compile: Whether the layers were compiled.
        options: What else changes kernels: `cuda-graphs`, `fp8-ffn`, `share-gpu`.
        latent_frames: Latent frames of the video.
        window: Latent frames visible to a block; None = all.
        repeats: Counted runs.
        passes_per_block: Model calls of a steady block.
        seconds: Noise to clean latents, the whole video.
        seconds_range: Shortest and longest run.
        processor_s: Processor seconds of the busiest rank; None on a GPU.
        throughput_fps: Decoded frames over `seconds`.
        latency_s: Seconds that a steady block takes.
        first_block_s: Seconds until the first block is clean.
        tflops_per_s: Floating-point operations of the video over `seconds`, in 10^12.
        matmul_peak_tflops_per_s: What one device reaches in a large matrix product.
        matmul_peak_share: Share of that peak which the ranks reach.
        peak_memory_bytes: Largest peak memory of a rank.
        compile_s: Seconds of compiling, not counted; None if nothing was compiled.
        backend_choices: Backend that `auto` chose, by shape.
        sha256: SHA-256 of the latents, if asked for.
        pixel_frames: Decoded frames of the video, which every frames/s counts.
        dit_fps: `pixel_frames` over `seconds`: filling and draining are included.
        video_fps: Frames a second at which the video plays.
        finished_s: Seconds until each block was clean, in the last run.
        card: Name of the GPU, or of the processor.
        driver: Version of the GPU's driver; None on a CPU.
        clocks: The GPU's clock after the run, its highest clock (MHz) and its power limit (W).
        kernels: Kernels that computed attention, matrix products and what lies between.
        error_against_plain: What the options cost in accuracy: rel-L2 distance from the plain
            model's `flow` of one call and `latents` of a video.
        intervals: How evenly blocks come.
        kernel_floor: The bare kernels, if asked for.
        pipeline: What only order `pipelined` has.
        pictures: The video with text and pictures, if asked for.
    """

    order: str
    context: str
    wave_batch: bool = False
    gpus: int = 0
    ranks: int = 1
    config: str
    dtype: str
    backend: str
    compile: bool = False
    options: Sequence[str] = ()
    latent_frames: int
    window: int | None
    repeats: int = 1
    passes_per_block: int
    seconds: float
    seconds_range: Sequence[float]
    processor_s: float | None = None
    throughput_fps: float
    latency_s: float
    first_block_s: float
    tflops_per_s: float
    matmul_peak_tflops_per_s: float
    matmul_peak_share: float
    peak_memory_bytes: int
    compile_s: float | None = None
    backend_choices: Mapping[str, str] | None = None
    sha256: str | None = None
    pixel_frames: int | None = None
    dit_fps: float | None = None
    video_fps: float | None = None
    finished_s: Sequence[float] | None = None
    card: str | None = None
    driver: str | None = None
    clocks: Mapping[str, float] | None = None
    kernels: Mapping[str, str] | None = None
    error_against_plain: Mapping[str, float] | None = None
    intervals: IntervalFigures | None = None
    kernel_floor: KernelFloorFigures | None = None
    pipeline: PipelineFigures | None = None
    pictures: PictureFigures | None = None

    @property
    def is_fused(self) -> bool:
        """Whether context passes ran with the next block's denoising."""
        return self.pipeline is not None and self.pipeline.fused.chosen

    @property
    def label(self) -> str:
        """The row in a few words."""
        words = [self.order, *(["fused"] if self.is_fused else []), *self.options]
        return f"{' '.join(words)} x{self.ranks}"

    def facts(self) -> dict[str, Any]:
        """The row of a record."""
        found: dict[str, Any] = {}
        for name, value in vars(self).items():
            is_left_out = value is None and name in ABSENT_IF_NONE
            is_older = self.pixel_frames is None and name in NEWER
            if name not in GROUPS and not is_left_out and not is_older:
                found[name] = value
        for group in (self.intervals, self.kernel_floor):
            found |= asdict(group) if group is not None else {}
        for figures in (self.pipeline, self.pictures):
            found |= figures.facts() if figures is not None else {}
        return found

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Row:
        """The row of a record; keys that this version does not know are passed over.

        Raises:
            UsageError: If the row lacks a field.
        """
        floor = _read(KernelFloorFigures, facts) if "kernel_floor_s" in facts else None
        pipeline = PipelineFigures.read(facts) if facts.get("order") == PIPELINED else None
        pictures = _read(PictureFigures, facts) if "end_to_end_s" in facts else None
        intervals = _read(IntervalFigures, facts) if "interval_p50_s" in facts else None
        groups = {
            "intervals": intervals, "kernel_floor": floor, "pipeline": pipeline,
            "pictures": pictures,
        }  # fmt: skip
        return _read(cls, dict(facts) | groups)


def _read(kind: type[T], facts: Mapping[str, Any]) -> T:
    known = fields(kind)  # type: ignore[arg-type]
    for field in known:
        if field.default is MISSING and field.name not in facts:
            raise UsageError(f"a row of the record has no {field.name!r}: time it anew")
    return kind(**{field.name: facts[field.name] for field in known if field.name in facts})
