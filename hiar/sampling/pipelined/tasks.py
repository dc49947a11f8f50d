"""What a rank of a pipeline does, in sequence.

`PipelineStage` carries the tasks out; `hiar.bench.cost_model` runs them on a clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal

from hiar.sampling.schedule import Cell, Schedule

TaskKind = Literal["begin", "denoise", "fused", "deliver", "context", "end"]


@dataclass(frozen=True)
class Task:
    """One thing that a rank does.

    Attributes:
        kind: `begin` takes up a block: noise on the first rank, else from the rank before;
            `denoise` runs a step on it; `fused` does so together with the context pass of the
            block before; `deliver` hands the block to the rank after, or gives it out clean on
            the last rank; `context` writes its keys and values to the step's cache for later
            blocks; `end` comes once, after the last block.
        block: Index of the block.
        step: Denoising step of a model pass; None for the other tasks.
    """

    kind: TaskKind
    block: int
    step: int | None = None


def rank_tasks(
    schedule: Schedule, steps: range, num_blocks: int | None, *, fused: bool = False
) -> Iterator[Task]:
    """The tasks of one rank. A block is delivered before its context passes: the next rank waits.

    Args:
        schedule: The order of the video, with one step a stage.
        steps: Steps that the rank owns.
        num_blocks: Blocks of the video; None for no end.
        fused: Run a context pass together with the next block's denoising pass at that step.
    """

    def leaves_context(step: int, block: int) -> bool:
        return schedule.context_level(Cell(step, block), num_blocks) is not None

    for block in count() if num_blocks is None else range(num_blocks):
        yield Task("begin", block)
        for step in steps:
            is_fused = fused and block > 0 and leaves_context(step, block - 1)
            yield Task("fused" if is_fused else "denoise", block, step)
        yield Task("deliver", block)
        if not fused:
            yield from (Task("context", block, s) for s in steps if leaves_context(s, block))
    if num_blocks is not None:
        yield Task("end", num_blocks - 1)
