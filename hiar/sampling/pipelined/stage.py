"""One rank's part of a pipeline: its steps of every block, between two neighbours.

Cells, caches and noise are those of the sampler. A stage takes a block from the rank before it,
runs its own steps on it, sends it on, and only then writes it to its caches as context, because
the next rank waits for the block and not for the context. Noise is keyed by (seed, prompt, block,
step), so each rank draws its own and none is sent: any number of ranks computes the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import torch

from hiar.sampling.checks import check_finite
from hiar.sampling.pipelined.tasks import Task, rank_tasks
from hiar.sampling.schedule import Cell

if TYPE_CHECKING:
    from hiar.sampling.cells import CellPass, CellRunner
    from hiar.sampling.pipelined.timeline import Timeline


class Links(Protocol):
    """How blocks come from the rank before and go to the rank after."""

    @property
    def is_first(self) -> bool:
        """Whether blocks begin here, as noise."""
        ...

    @property
    def is_last(self) -> bool:
        """Whether blocks end here, clean."""
        ...

    def receive(self, block: int) -> torch.Tensor:
        """Wait for the latents of a block; they are valid until two more blocks are received."""
        ...

    def await_slot(self, block: int) -> None:
        """Return when another block may be sent."""
        ...

    def send(self, block: int, latents: torch.Tensor) -> None:
        """Send a block on, without waiting for its arrival."""
        ...

    def finish(self, block: int) -> None:
        """Return when every block that was sent has gone; `block` was the last."""
        ...


class PipelineStage:
    """Runs consecutive steps of all blocks.

    Args:
        runner: Runs the cells of order `diagonal`; it holds caches for the owned steps alone.
        steps: Steps that this rank owns.
        links: Transfers from and to the neighbours.
        first_noise: Function that gives a block's initial noise, for the first rank.
        timeline: Recorder of what this rank did when.
        fused: Run a context pass together with the next block's denoising pass at that step.
        on_cell: Called after each owned cell with its block's latents.
    """

    def __init__(
        self,
        runner: CellRunner,
        steps: range,
        links: Links,
        *,
        first_noise: Callable[[int], torch.Tensor],
        timeline: Timeline,
        fused: bool = False,
        on_cell: Callable[[Cell, torch.Tensor], None] | None = None,
    ) -> None:
        self._runner, self._steps, self._links = runner, steps, links
        self._first_noise, self._timeline = first_noise, timeline
        self._fused, self._on_cell = fused, on_cell
        self._pending: dict[int, CellPass] = {}
        """By step, the context pass of the newest block, while it has not run."""

    def blocks(self) -> Iterator[tuple[int, torch.Tensor]]:
        """Run all blocks; with no number of blocks there is no end.

        Yields:
            (block index, its latents after the owned steps): on the last rank, clean. A block is
            yielded as soon as it is handed on, before its context passes.
        """
        runner = self._runner
        latents: torch.Tensor | None = None
        for task in rank_tasks(runner.schedule, self._steps, runner.num_blocks, fused=self._fused):
            if task.kind == "begin":
                latents = self._begin(task.block)
            elif task.kind == "context":
                self._write_context(task)
            elif task.kind == "end":
                self._end(task.block)
            else:
                assert latents is not None  # every block begins
                if task.kind == "deliver":
                    self._deliver(task.block, latents)
                    yield task.block, latents
                else:
                    latents = self._denoise(task, latents)

    def _begin(self, block: int) -> torch.Tensor:
        if self._links.is_first:
            return self._first_noise(block)
        with self._timeline.span("wait", block):
            return self._links.receive(block)

    def _denoise(self, task: Task, latents: torch.Tensor) -> torch.Tensor:
        assert task.kind in ("denoise", "fused") and task.step is not None
        cell = Cell(task.step, task.block)
        context = [self._pending.pop(task.step)] if task.kind == "fused" else []
        with self._timeline.span(task.kind, task.block, task.step):
            (output,), pending = self._runner.denoise([cell], [latents], context=context)
        self._pending.update({each.cell.step: each for each in pending})
        if self._on_cell is not None:
            self._on_cell(cell, output)
        return output

    def _deliver(self, block: int, latents: torch.Tensor) -> None:
        if self._links.is_last:
            check_finite(latents, block)
            return
        with self._timeline.span("wait", block):
            self._links.await_slot(block)
        with self._timeline.span("send", block):
            self._links.send(block, latents)
        self._timeline.bytes_sent += latents.nbytes

    def _write_context(self, task: Task) -> None:
        assert task.step is not None
        with self._timeline.span("context", task.block, task.step):
            self._runner.write_context([self._pending.pop(task.step)])

    def _end(self, block: int) -> None:
        """Free the caches, and wait until every block has gone to the rank after."""
        self._runner.release([Cell(step, block) for step in self._steps])
        with self._timeline.span("wait", block):
            self._links.finish(block)
