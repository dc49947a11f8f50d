"""Timing one video, cell by cell, with the bare kernels of each cell right behind it.

A cell and its kernels run in the same state of the machine, so their ratio also holds where the
machine's speed varies. The kernels' time is not counted in the video's time.
"""

from __future__ import annotations

import hashlib
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hiar.bench.kernel_floor import KernelFloor
from hiar.model.geometry import num_blocks, token_grid
from hiar.runtime.device import Mark, Stopwatch
from hiar.sampling.noise import initial_noise
from hiar.sampling.sampler import sample_latents
from hiar.sampling.schedule import Cell, cell_groups, schedule_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hiar.model.transformer import CausalWan
    from hiar.sampling.config import SamplerConfig


@dataclass(frozen=True, kw_only=True)
class VideoTiming:
    """One timed run.

    Attributes:
        seconds: Seconds from noise to clean latents, the whole video.
        processor_s: The same in processor time of this process; None on a GPU.
        steady_block_s: Median over the steady blocks (window full, or the second half) of the
            compute a block takes, summed over its steps.
        finished_s: Seconds from the start until each block is clean.
        block_s: Seconds of the compute of each block, summed over its steps.
        floor_s: Seconds of the bare kernels of the same calls; None if they were not run.
        floor_processor_s: The same in processor time; None on a GPU.
        sha256: SHA-256 of the latents' bytes.
    """

    seconds: float
    processor_s: float | None
    steady_block_s: float
    finished_s: Sequence[float]
    block_s: Sequence[float]
    floor_s: float | None
    floor_processor_s: float | None
    sha256: str

    @property
    def first_block_s(self) -> float:
        """Seconds from the start until the first block is clean."""
        return self.finished_s[0]


class CellClock:
    """Marks the end of every cell; given a floor, runs each cell's bare kernels after it.

    Args:
        sampler: Settings of the video.
        blocks: Blocks of the video.
        frame_tokens: Tokens of a latent frame.
        device: Device of the model.
        floor: The bare kernels; None runs none.
    """

    def __init__(
        self,
        sampler: SamplerConfig,
        blocks: int,
        frame_tokens: int,
        device: torch.device,
        floor: KernelFloor | None,
    ) -> None:
        self._sampler, self._blocks, self._floor = sampler, blocks, floor
        self._frame_tokens = frame_tokens
        self._groups = groups_by_first_cell(sampler, blocks)
        self.watch = Stopwatch(device)
        self.cells: list[tuple[Cell, Mark, Mark]] = []
        self.floors: list[tuple[Mark, Mark]] = []
        self._previous = Mark()

    def start(self) -> None:
        """Begin timing a video."""
        self._previous = self.watch.mark()
        if self._floor is not None:
            self._floor.run_text()
            self._close_floor(self._previous)

    def on_cell(self, cell: Cell, *_: torch.Tensor) -> None:
        """End a cell; the first of the cells that ran in one call gets the call's time."""
        end = self.watch.mark()
        self.cells.append((cell, self._previous, end))
        self._previous = end
        group = self._groups.get(cell)
        if self._floor is not None and group is not None:
            self._floor.run_call([self._visible(cell) for cell in group])
            schedule = schedule_of(self._sampler)
            shown = [c for c in group if schedule.context_level(c, self._blocks) is not None]
            if shown:
                self._floor.run_call([self._visible(cell) for cell in shown], need_flow=False)
            self._close_floor(end)

    def finish(self) -> None:
        """End the video; the time after the last cell counts as part of that cell."""
        self.cells.append((self.cells[-1][0], self._previous, self.watch.mark()))

    def _close_floor(self, start: Mark) -> None:
        self._previous = self.watch.mark()
        self.floors.append((start, self._previous))

    def _visible(self, cell: Cell) -> int:
        frames = (cell.block + 1) * self._sampler.frames_per_block
        return min(frames, self._sampler.window or frames) * self._frame_tokens


def groups_by_first_cell(sampler: SamplerConfig, blocks: int) -> dict[Cell, tuple[Cell, ...]]:
    """Cells that run in one call, by the first of them."""
    return {group[0]: group for group in cell_groups(sampler, blocks)}


@torch.no_grad()
def time_video(
    model: CausalWan,
    sampler: SamplerConfig,
    *,
    latent_frames: int,
    latent_size: tuple[int, int],
    kernel_floor: bool = False,
) -> VideoTiming:
    """Sample one video and time its cells.

    Args:
        model: The transformer.
        sampler: Order, context, window.
        latent_frames: Latent frames of the video.
        latent_size: Rows and columns of a latent frame.
        kernel_floor: Time the bare kernels too.
    """
    config, device = model.config, model.device
    blocks = num_blocks(latent_frames, sampler.frames_per_block)
    shape = (sampler.frames_per_block, config.in_channels, *latent_size)
    noise = initial_noise(1, blocks, shape, seed=0).to(device)
    text = torch.zeros(1, 1, config.text_dim, device=device, dtype=model.dtype)
    rows, columns = token_grid(*latent_size, config.patch_size)
    floor = None
    if kernel_floor:
        floor = KernelFloor(
            model, block_tokens=sampler.frames_per_block * rows * columns,
            capacity_tokens=min(sampler.window or latent_frames, latent_frames) * rows * columns,
            max_groups=len(sampler.steps) if sampler.wave_batch else 1,
        )  # fmt: skip
    clock = CellClock(sampler, blocks, rows * columns, device, floor)
    clock.start()
    latents = sample_latents(model, text, noise, sampler, on_cell=clock.on_cell)
    clock.finish()
    return summarise(clock, sampler, blocks, latents)


def summarise(
    clock: CellClock, sampler: SamplerConfig, blocks: int, latents: torch.Tensor
) -> VideoTiming:
    """Sums and medians of a clock's marks."""
    watch = clock.watch
    block_s, finished_s = [0.0] * blocks, [0.0] * blocks
    total = 0.0
    last = len(sampler.steps) - 1
    for cell, start, end in clock.cells:
        seconds = watch.seconds(start, end)
        block_s[cell.block] += seconds
        total += seconds
        if cell.step == last:  # the time after the last cell stands as a second span of it
            finished_s[cell.block] = total
    timed = [(start, end) for _, start, end in clock.cells]
    return VideoTiming(
        seconds=total,
        processor_s=_sum([watch.processor_seconds(*pair) for pair in timed]),
        steady_block_s=statistics.median(block_s[b] for b in steady_blocks(sampler, blocks)),
        finished_s=finished_s,
        block_s=block_s,
        floor_s=_sum([watch.seconds(*pair) for pair in clock.floors]),
        floor_processor_s=_sum([watch.processor_seconds(*pair) for pair in clock.floors]),
        sha256=checksum(latents),
    )


def checksum(latents: torch.Tensor) -> str:
    """SHA-256 of the bytes of latents, float32."""
    return hashlib.sha256(latents.float().cpu().numpy().tobytes()).hexdigest()


def median(values: Iterable[float | None]) -> float | None:
    """Median of the values that are not None; None if there are none."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def steady_blocks(sampler: SamplerConfig, blocks: int) -> Sequence[int]:
    """Blocks whose window is full, without the last, which needs no context pass; or else all."""
    return _full_blocks(sampler, blocks) or range(blocks)


def block_words(sampler: SamplerConfig, blocks: int) -> str:
    """Which block the median over `steady_blocks` is of, in words."""
    if _full_blocks(sampler, blocks):
        return "a steady block"
    return "the median block, as none sees a full window and has a context pass"


def _full_blocks(sampler: SamplerConfig, blocks: int) -> range:
    window_blocks = blocks // 2
    if sampler.window is not None:
        window_blocks = -(-sampler.window // sampler.frames_per_block) - 1
    return range(window_blocks, blocks - 1)
