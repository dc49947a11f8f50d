"""Which denoising steps a rank of a pipeline owns, and what the rank does, in sequence.

`PipelineStage` carries the tasks out; `hiar.bench.prediction.cost_model` runs them on a clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal

from hiar.errors import UsageError
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


def split_steps(num_steps: int, num_ranks: int) -> tuple[range, ...]:
    """Divide the steps into a run for each rank, as evenly as can be; the last runs are longer.

    The throughput is the same wherever the larger shares stand. A rank with two steps runs two
    denoising passes before it hands a block on: as the last rank it adds them to the filling of
    the pipeline, where the first block still sees few keys; as the first rank it would add them
    to the draining, where the window is full (docs/performance.md, Cost model).

    Args:
        num_steps: Denoising steps.
        num_ranks: Processes, from 1 to `num_steps`.

    Raises:
        UsageError: If a rank would own no step.
    """
    if not 1 <= num_ranks <= num_steps:
        raise UsageError(
            f"{num_ranks} ranks for {num_steps} denoising steps: a rank owns at least one step; "
            f"start 1 to {num_steps} ranks"
        )
    size, num_larger = divmod(num_steps, num_ranks)
    sizes = [size + (rank >= num_ranks - num_larger) for rank in range(num_ranks)]
    ends = [sum(sizes[: rank + 1]) for rank in range(num_ranks)]
    return tuple(range(end - size, end) for end, size in zip(ends, sizes, strict=True))


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
