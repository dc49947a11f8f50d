"""Running (step, block) cells: the machine behind every order, the pipeline and the rollout.

Semantics follow the HiAR release (inference_hybrid) and the paper's Algorithm 1. The life of a
cell is `CellRunner.run`: denoise the block against the cache of earlier blocks, move it to the
noise level of the next step, write it to the cache at the level that the context asks for, and
free the cache if no cell needs it any more. In which order the cells run is data
(`hiar.sampling.schedule`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch

from hiar.errors import UsageError
from hiar.model.geometry import token_grid
from hiar.model.kv_cache import CacheSlot, KVCache
from hiar.sampling.cache_policies.moving_sink import MovingSinkCache
from hiar.sampling.caches import StageCaches
from hiar.sampling.checks import check_finite
from hiar.sampling.denoising import CLEAN_TIMESTEP, Denoising
from hiar.sampling.schedule import Cell, cell_groups, schedule_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hiar.model.transformer import CausalWan, TextContext
    from hiar.sampling.config import SamplerConfig
    from hiar.sampling.noise import RenoiseFn

    OnCell = Callable[[Cell, torch.Tensor], None]


class CellPass(NamedTuple):
    """One pass of a block through the model, to denoise it or to write its context.

    Attributes:
        cell: The block, and the step whose cache it uses.
        latents: Latents of the block [B, frames_per_block, C, H, W].
        timestep: Timestep that conditions the model, in [0, 1000].
    """

    cell: Cell
    latents: torch.Tensor
    timestep: float


class CellRunner:
    """Runs the cells of one batch of videos; owns the caches and the text context.

    Args:
        model: The transformer; it has no dropout, so its train or eval mode makes no difference.
        text: Text embeddings [B, text, text_dim].
        config: Order, context, window and cache policy.
        renoise: `renoise(step, block)` gives fresh noise [B, frames_per_block, C, H, W].
        latent_shape: (C, H, W) of a latent frame.
        num_blocks: Number of blocks to make; None for a video without end, which needs a window.
        initial_latents: Clean latents [B, F0, C, H, W] that the video begins with.
    """

    def __init__(
        self,
        model: CausalWan,
        text: torch.Tensor,
        config: SamplerConfig,
        renoise: RenoiseFn,
        *,
        latent_shape: Sequence[int],
        num_blocks: int | None,
        initial_latents: torch.Tensor | None = None,
    ) -> None:
        self.model = model
        self.config = config
        self.schedule = schedule_of(config)
        self.num_blocks = num_blocks
        self.num_initial_frames = 0 if initial_latents is None else initial_latents.shape[1]
        self._denoising = Denoising(config, renoise)
        self.steps = self._denoising.steps
        context = model.encode_text(text.to(model.device))
        self._batch_size = text.shape[0]
        rows, columns = token_grid(latent_shape[1], latent_shape[2], model.config.patch_size)
        capacity = self._capacity()
        policy = config.policy
        moving = partial(MovingSinkCache, average=policy.average)
        new_cache = partial(
            moving if policy.aligns_sink else KVCache, model.config,
            batch_size=self._batch_size, frame_tokens=rows * columns, capacity=capacity,
            sink=min(config.sink, capacity - 1), device=model.device,
            dtype=context.keys[0].dtype,  # under FSDP, the weights have another dtype
        )  # fmt: skip
        if model.replayer is not None:
            if policy.aligns_sink:
                raise UsageError(
                    f"--cuda-graphs cannot replay a sink that moves, as that of cache "
                    f"{policy.name!r} does: leave --cuda-graphs out"
                )
            layout = (*latent_shape, config.frames_per_block, capacity, config.sink)
            context = model.replayer.begin_video(context, layout)
            new_cache = partial(model.replayer.borrow_cache, new_cache)
        self._text: list[TextContext] = [context]
        self._caches = StageCaches(self.schedule, new_cache)
        if initial_latents is not None:
            self._write_initial(initial_latents)

    def blocks(
        self, first_noise: Callable[[int], torch.Tensor], on_cell: OnCell | None = None
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Run every cell of the video in the sequence of its order.

        Args:
            first_noise: Function that gives the initial noise of a block.
            on_cell: Called after each cell with its block's latents.

        Yields:
            (block index, clean latents), as the blocks are finished.
        """
        state: dict[int, torch.Tensor] = {}
        for cells in cell_groups(self.config, self.num_blocks):
            for cell in cells:
                if cell.step == 0:
                    state[cell.block] = first_noise(cell.block)
            outputs = self.run(cells, [state[cell.block] for cell in cells])
            for cell, latents in zip(cells, outputs, strict=True):
                state[cell.block] = latents
                if on_cell is not None:
                    on_cell(cell, latents)
                if cell.step + 1 == len(self.steps):
                    yield cell.block, check_finite(state.pop(cell.block), cell.block)

    def run(self, cells: Sequence[Cell], blocks: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Denoise blocks by one step, in one model call, and write them as context.

        Args:
            cells: Blocks and their steps; no two of them use the same cache.
            blocks: Latents [B, frames_per_block, C, H, W] of each block at its step's input level.

        Returns:
            Latents of each block at its step's output level; clean after the last step.
        """
        outputs, context = self.denoise(cells, blocks)
        self.write_context(context)
        self.release(cells)
        return outputs

    def denoise(
        self,
        cells: Sequence[Cell],
        blocks: Sequence[torch.Tensor],
        *,
        context: Sequence[CellPass] = (),
    ) -> tuple[list[torch.Tensor], list[CellPass]]:
        """Denoise blocks by one step, and say which context passes this makes necessary.

        Args:
            cells, blocks: See `run`.
            context: Context passes to run in the same model call, before the denoising passes: of
                the blocks just before those of `cells`, at the same steps.

        Returns:
            The output latents of each cell, and the context passes that later cells wait for.
        """
        passes = [
            CellPass(cell, x, self.steps[cell.step].timestep)
            for cell, x in zip(cells, blocks, strict=True)
        ]
        flows = self._forward([*context, *passes], num_context=len(context))
        outputs: list[torch.Tensor] = []
        context_passes: list[CellPass] = []
        for cell, x, flow in zip(cells, blocks, flows, strict=True):
            x0 = self._denoising.predict(x, flow, cell.step)
            outputs.append(self._denoising.advance(cell, x, flow, x0, cell.step + 1))
            level = self.schedule.context_level(cell, self.num_blocks)
            if level == "clean":
                shown = self._denoising.clean_context(cell, x0)
                context_passes.append(CellPass(cell, shown, self._denoising.context_timestep))
            elif level == "output":
                timestep = self.steps[cell.step + 1].timestep
                context_passes.append(CellPass(cell, outputs[-1], timestep))
        return outputs, context_passes

    def write_context(self, passes: Sequence[CellPass]) -> None:
        """Write the keys and values that later blocks will see to the caches."""
        if passes:
            self._forward(passes, num_context=len(passes))

    def release(self, cells: Sequence[Cell]) -> None:
        """Free the caches that no cell after these ones uses."""
        for cell in cells:
            is_last_block = cell.block + 1 == self.num_blocks
            if is_last_block and self.schedule.is_through(cell):
                self._caches.release(cell)

    def _forward(self, passes: Sequence[CellPass], *, num_context: int) -> Sequence[torch.Tensor]:
        """One model call on the blocks of all passes, of which the first write context only.

        Returns:
            The flow of each pass that is no context pass.
        """
        device = passes[0].latents.device
        latents = [each.latents for each in passes]
        timesteps = [torch.full((self._batch_size,), p.timestep, device=device) for p in passes]
        arguments = (
            latents[0] if len(passes) == 1 else torch.cat(latents),
            torch.cat(timesteps),
            self._text_of(len(passes)),
            [CacheSlot(self._caches.of(p.cell), self._first_frame(p.cell)) for p in passes],
        )
        flow = None
        if self.model.replayer is not None:
            flow = self.model.replayer.run(*arguments, num_context)
        if flow is None:
            flow = self.model.forward_cached(*arguments, num_context=num_context)
        flows: Sequence[torch.Tensor] = flow.split(self._batch_size)
        return flows

    def _write_initial(self, latents: torch.Tensor) -> None:
        """Write given latents as clean context, in blocks of which the first may be shorter.

        The release takes whole blocks, or one frame before whole blocks.
        """
        size, total = self.config.frames_per_block, latents.shape[1]
        starts = [0, *range(total % size or size, total, size)]
        for start, end in zip(starts, [*starts[1:], total], strict=True):
            block = latents[:, start:end]
            timesteps = torch.full((self._batch_size,), CLEAN_TIMESTEP, device=block.device)
            slot = CacheSlot(self._caches.clean(), start)
            self.model.forward_cached(block, timesteps, self._text_of(1), [slot], num_context=1)

    def _first_frame(self, cell: Cell) -> int:
        return self.num_initial_frames + cell.block * self.config.frames_per_block

    def _text_of(self, num_blocks: int) -> TextContext:
        """The text context for a call on that many blocks; each repetition is made once."""
        while len(self._text) < num_blocks:
            self._text.append(self._text[0].repeat(len(self._text) + 1))
        return self._text[num_blocks - 1]

    def _capacity(self) -> int:
        """Latent frames that a cache must hold: the window, or the whole video if it is shorter."""
        window = self.config.window
        if self.num_blocks is None:
            assert window is not None, "a video without end needs a window"
            return window
        total = self.num_initial_frames + self.num_blocks * self.config.frames_per_block
        return total if window is None else min(window, total)
