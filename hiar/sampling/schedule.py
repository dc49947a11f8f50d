"""Orders as data: in which sequence the (step, block) cells of a video are computed.

A cell may run once the cell left of it (same step, previous block) and the cell above it (same
block, previous step) have run. An order is three facts: which steps share a cache (a `stage`),
how many blocks are finished before the grid begins, and whether the grid of (stage, block) runs
row by row or wave by wave. Only the first two change the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Literal

from hiar.errors import UsageError
from hiar.sampling.config import Context, SamplerConfig

Level = Literal["clean", "output"]


@dataclass(frozen=True, order=True)
class Cell:
    """Denoise block `block` at step `step`."""

    step: int
    block: int


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """An order.

    Attributes:
        stages: Steps in groups. A block runs the steps of a stage one after the other against one
            cache, and is then written to that cache as context for the blocks after it.
        context: Noise level at which the block is written there, see `SamplerConfig`.
        lead_blocks: Number of blocks at the start that run all their steps before the next block
            begins; all stages see them clean.
        by_wave: Whether the anti-diagonals of the (stage, block) grid run one after the other,
            and not the stages.
    """

    stages: tuple[range, ...]
    context: Context
    lead_blocks: int = 0
    by_wave: bool = False

    @property
    def num_steps(self) -> int:
        """Denoising steps, all stages together."""
        return self.stages[-1].stop

    def stage_of(self, step: int) -> int:
        """Index of the stage that a step belongs to."""
        return next(index for index, stage in enumerate(self.stages) if step in stage)

    def cells(self, num_blocks: int | None) -> Iterator[Cell]:
        """Every cell of the grid once, in sequence.

        Args:
            num_blocks: Blocks, or None for a video without end.

        Yields:
            Cells.

        Raises:
            UsageError: If a video without end would never come to its second stage.
        """
        lead = self.lead_blocks if num_blocks is None else min(self.lead_blocks, num_blocks)
        yield from (Cell(step, block) for block in range(lead) for step in range(self.num_steps))
        rest = None if num_blocks is None else num_blocks - lead
        for stage, block in self._grid(rest):
            yield from (Cell(step, lead + block) for step in self.stages[stage])

    def _grid(self, num_blocks: int | None) -> Iterator[tuple[int, int]]:
        if self.by_wave:
            yield from (pair for wave in waves(len(self.stages), num_blocks) for pair in wave)
        elif num_blocks is None and len(self.stages) > 1:
            raise UsageError("'step_first' needs the number of blocks: use order 'diagonal'")
        else:
            blocks = count() if num_blocks is None else range(num_blocks)
            yield from ((stage, block) for stage in range(len(self.stages)) for block in blocks)

    def context_level(self, cell: Cell, num_blocks: int | None) -> Level | None:
        """The noise level at which a context pass writes a block; None if no such pass is due.

        The context pass is due when the block has run all steps of its stage. With `input` context
        there is none, because the denoising pass has written the right keys and values already;
        nor for the last block of a video, which no block follows.

        Args:
            cell: The cell that has just run.
            num_blocks: Blocks of the video, or None for no end.
        """
        if cell.block + 1 == num_blocks or not self.is_through(cell):
            return None
        if cell.block < self.lead_blocks:
            return "clean"
        if self.context == "input":
            return None
        is_finished = cell.step + 1 == self.num_steps
        return "clean" if is_finished or self.context == "clean" else "output"

    def is_through(self, cell: Cell) -> bool:
        """Whether the block has run all steps of the cell's stage; a lead block has one stage."""
        if cell.block < self.lead_blocks:
            return cell.step + 1 == self.num_steps
        return cell.step + 1 == self.stages[self.stage_of(cell.step)].stop


@lru_cache(maxsize=32)
def schedule_of(config: SamplerConfig) -> Schedule:
    """The schedule of a sampler's order."""
    num_steps = len(config.steps)
    together = {"block_first": num_steps, "hybrid": config.block_first_steps}
    first = max(1, together.get(config.order, 1))
    return Schedule(
        stages=(range(first), *(range(step, step + 1) for step in range(first, num_steps))),
        context=config.context,
        lead_blocks=config.block_first_blocks,
        by_wave=config.order in ("diagonal", "hybrid"),
    )


def waves(num_rows: int, num_blocks: int | None) -> Iterator[tuple[tuple[int, int], ...]]:
    """Anti-diagonals of a grid of (row, block), first to last; a wave runs its last row first.

    Neither row nor block repeats in a wave, so its members may run at once.
    """
    last = None if num_blocks is None else num_rows + num_blocks - 1
    for wave in count() if last is None else range(last):
        pairs = ((row, wave - row) for row in reversed(range(num_rows)))
        yield tuple(
            (row, block)
            for row, block in pairs
            if block >= 0 and (num_blocks is None or block < num_blocks)
        )


def cell_groups(config: SamplerConfig, num_blocks: int | None) -> Iterator[tuple[Cell, ...]]:
    """All cells of a video in sequence; the cells of a group run in one forward pass."""
    schedule = schedule_of(config)
    if config.wave_batch:
        for wave in waves(schedule.num_steps, num_blocks):
            yield tuple(Cell(step, block) for step, block in wave)
    else:
        yield from ((cell,) for cell in schedule.cells(num_blocks))


def context_calls(config: SamplerConfig, block: int, num_blocks: int | None) -> int:
    """Context passes of one block, over all steps."""
    schedule = schedule_of(config)
    levels = (
        schedule.context_level(Cell(step, block), num_blocks) for step in range(len(config.steps))
    )
    return sum(level is not None for level in levels)


def passes_per_block(config: SamplerConfig) -> int:
    """Model calls that a steady block costs: its denoising calls and its context calls."""
    return len(config.steps) + context_calls(config, config.block_first_blocks, None)
