"""Orders as data: in which sequence the (step, block) cells of a video are computed.

A cell may run once the cell left of it (same step, previous block) and the cell above it (same
block, previous step) have run. Every order here respects that; cells of one `wave` are free of
each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from hiar.config import Order
from hiar.errors import UsageError


@dataclass(frozen=True, order=True)
class Cell:
    """Denoise block `block` at step `step`."""

    step: int
    block: int

    @property
    def wave(self) -> int:
        """Anti-diagonal of the cell: cells of one wave may run at once."""
        return self.step + self.block


def cells(order: Order, num_steps: int, num_blocks: int | None) -> Iterator[Cell]:
    """Every cell of the grid once, in the sequence of the order.

    Args:
        order: See `SamplerConfig`.
        num_steps: Denoising steps, at least 1.
        num_blocks: Blocks, or None for a video without end (not for step_first).

    Yields:
        Cells.
    """
    if num_blocks is None and order == "step_first":
        raise UsageError("order 'step_first' needs the number of blocks: stream with 'diagonal'")
    blocks = count() if num_blocks is None else range(num_blocks)
    if order == "block_first":
        yield from (Cell(step, block) for block in blocks for step in range(num_steps))
    elif order == "step_first":
        yield from (Cell(step, block) for step in range(num_steps) for block in blocks)
    else:
        yield from (cell for wave in waves(num_steps, num_blocks) for cell in wave)


def waves(num_steps: int, num_blocks: int | None) -> Iterator[tuple[Cell, ...]]:
    """Anti-diagonals of the grid, first to last; a wave runs its latest step first."""
    last = None if num_blocks is None else num_steps + num_blocks - 1
    for wave in count() if last is None else range(last):
        row = [Cell(step, wave - step) for step in reversed(range(num_steps))]
        yield tuple(c for c in row if c.block >= 0 and (num_blocks is None or c.block < num_blocks))


def passes_per_block(order: Order, context: str, num_steps: int) -> int:
    """Model calls a steady block costs: its denoising calls and its context calls.

    Block-first caches once, after the last step; step-first caches at every step, but needs no
    call of its own for `input` context, whose keys the denoising call already made.
    """
    if order == "block_first":
        return num_steps + 1
    return num_steps if context == "input" else 2 * num_steps
