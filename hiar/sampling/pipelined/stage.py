"""One rank's part of a pipeline: its steps of every block, between two neighbours.

The cells, caches and noise are the sampler's. A stage takes a block from the rank before it, runs
its own steps on it, hands it on, and only then leaves it in its caches as context: the passes that
the next rank waits for come first. Noise is keyed by (seed, prompt, block, step), so each rank
makes its own and none is sent; any number of ranks computes the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Protocol

import torch

from hiar.sampling.sampler import CellRunner, ContextPass, check_finite
from hiar.sampling.schedule import Cell

if TYPE_CHECKING:
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
        """The latents of a block; valid until the next but one is received."""
        ...

    def await_slot(self, block: int) -> None:
        """Return when a further block may be handed on."""
        ...

    def send(self, block: int, latents: torch.Tensor) -> None:
        """Hand a block on, without waiting for its arrival."""
        ...

    def finish(self, block: int) -> None:
        """Return when all that was handed on has gone; `block` was the last."""
        ...


class PipelineStage:
    """Runs consecutive steps of all blocks.

    Args:
        runner: The cells, with order `diagonal`; it holds caches for the owned steps alone.
        steps: The owned steps.
        links: To the neighbours.
        first_noise: A block's initial noise, for the first rank.
        timeline: Where spans go.
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
        self._due: dict[int, ContextPass] = {}

    def blocks(self) -> Iterator[tuple[int, torch.Tensor]]:
        """Run all blocks; with no number of blocks there is no end.

        Yields:
            (block index, its latents after the owned steps): on the last rank, clean. A block is
            yielded as soon as it is handed on, before its context passes.
        """
        total = self._runner.num_blocks
        for block in count() if total is None else range(total):
            latents = self._denoise(block, self._begin(block))
            if self._links.is_last:
                check_finite(latents, block)
            else:
                self._hand_on(block, latents)
            yield block, latents
            if not self._fused:
                self._show()
            self._runner.release([Cell(step, block) for step in self._steps])
        if total is not None:
            with self._timeline.span("wait", total - 1):
                self._links.finish(total - 1)

    def _begin(self, block: int) -> torch.Tensor:
        if self._links.is_first:
            return self._first_noise(block)
        with self._timeline.span("wait", block):
            return self._links.receive(block)

    def _denoise(self, block: int, latents: torch.Tensor) -> torch.Tensor:
        for step in self._steps:
            cell, due = Cell(step, block), self._due.pop(step, None)
            with self._timeline.span("denoise" if due is None else "fused", block, step):
                outputs, shown = self._runner.denoise([cell], [latents], after=due)
            latents = outputs[0]
            self._due.update({each.cell.step: each for each in shown})
            if self._on_cell is not None:
                self._on_cell(cell, latents)
        return latents

    def _hand_on(self, block: int, latents: torch.Tensor) -> None:
        with self._timeline.span("wait", block):
            self._links.await_slot(block)
        with self._timeline.span("send", block):
            self._links.send(block, latents)
        self._timeline.bytes_sent += latents.nbytes

    def _show(self) -> None:
        """Run the context passes that are due, step by step as one process does."""
        for step in sorted(self._due):
            due = self._due.pop(step)
            with self._timeline.span("context", due.cell.block, step):
                self._runner.show([due])
