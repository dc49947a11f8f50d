"""One loop over (step, block) cells: the order is data, the cell is the same in all of them.

Semantics follow the HiAR release (inference_hybrid) and the paper's Algorithm 1. A cell denoises
its block against the cache of earlier blocks, moves it to the step's output level, and leaves it
in the cache at the level that the context asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from hiar.config import SamplerConfig
from hiar.errors import UsageError
from hiar.geometry import num_blocks, token_grid
from hiar.kv_cache import KVCache
from hiar.noise import INITIAL_STEP, block_noise, keyed_renoise
from hiar.schedule import Cell, cells
from hiar.sigmas import Step, add_noise, denoising_steps, euler_step, x0_from_flow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hiar.noise import RenoiseFn
    from hiar.transformer import CausalWan, TextContext

CLEAN_TIMESTEP = 0.0
"""Timestep that labels finished latents (HiAR release, configs/hiar.yaml, context_noise: 0)."""


class CellRunner:
    """Runs cells of one batch of videos; owns the caches and the text context.

    Args:
        model: In eval mode or not, it makes no difference: there is no dropout.
        text: Text embeddings [B, text, text_dim].
        config: Order, context, window.
        renoise: `renoise(step, block)` gives fresh noise [B, frames_per_block, C, H, W].
        latent_shape: (C, H, W).
        num_blocks: Blocks of the video; None if it has no end (then the window must be set).
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
    ) -> None:
        self.model = model
        self.config = config
        self.renoise = renoise
        self.steps: tuple[Step, ...] = denoising_steps(config)
        self.num_blocks = num_blocks
        self.text: TextContext = model.encode_text(text.to(model.device))
        self._batch_size = text.shape[0]
        rows, columns = token_grid(latent_shape[1], latent_shape[2], model.config.patch_size)
        self._frame_tokens = rows * columns
        self._caches: dict[int, KVCache] = {}

    def run(self, cell: Cell, x: torch.Tensor) -> torch.Tensor:
        """Denoise one block by one step and cache it as context.

        Args:
            cell: Which block at which step.
            x: The block [B, frames_per_block, C, H, W] at the step's input level.

        Returns:
            The block at the step's output level; after the last step, clean.
        """
        cache = self._cache(cell)
        step = self.steps[cell.step]
        first_frame = cell.block * self.config.frames_per_block
        flow = self.model.forward_block(
            x, self._timesteps(step.timestep, x), self.text, cache, first_frame
        )
        assert flow is not None
        x0 = x0_from_flow(x, flow, step.sigma)
        output = self._advance(cell, x, flow, x0)
        context = self._context(cell, output, x0)
        if context is not None:
            latents, timestep = context
            self.model.forward_block(
                latents, self._timesteps(timestep, x), self.text, cache, first_frame,
                need_flow=False,
            )  # fmt: skip
        if self._is_last_use(cell):
            del self._caches[self._cache_key(cell)]
        return output

    def _is_last_use(self, cell: Cell) -> bool:
        """Whether no later cell needs this cell's cache: its memory can go."""
        if self.num_blocks is None or cell.block + 1 < self.num_blocks:
            return False
        return self.config.order != "block_first" or cell.step + 1 == len(self.steps)

    def _advance(
        self, cell: Cell, x: torch.Tensor, flow: torch.Tensor, x0: torch.Tensor
    ) -> torch.Tensor:
        """Take the block to the level of the next step (clean after the last)."""
        if cell.step + 1 == len(self.steps):
            return x0
        next_sigma = self.steps[cell.step + 1].sigma
        if not self.config.stochastic:
            return euler_step(x, flow, self.steps[cell.step].sigma, next_sigma)
        noise = self.renoise(cell.step, cell.block)
        if noise.shape != x0.shape:
            raise UsageError(
                f"renoise({cell.step}, {cell.block}) gave {tuple(noise.shape)}: "
                f"a block is {tuple(x0.shape)}"
            )
        return add_noise(x0, noise, next_sigma)

    def _context(
        self, cell: Cell, output: torch.Tensor, x0: torch.Tensor
    ) -> tuple[torch.Tensor, float] | None:
        """What the later blocks are shown of this one, and its timestep; None if no pass is due.

        With `input` context the denoising pass has left the right keys already. The last block
        of a video has no later block. Block-first shows a block only once it is finished.
        """
        last_step = cell.step + 1 == len(self.steps)
        if self.num_blocks is not None and cell.block + 1 == self.num_blocks:
            return None
        if self.config.order == "block_first" and not last_step:
            return None
        if self.config.context == "input":
            return None
        if last_step or self.config.context == "clean":
            return x0, CLEAN_TIMESTEP
        return output, self.steps[cell.step + 1].timestep

    def _cache_key(self, cell: Cell) -> int:
        """Block-first has one cache for the video; the other orders have one a step."""
        return 0 if self.config.order == "block_first" else cell.step

    def _cache(self, cell: Cell) -> KVCache:
        key = self._cache_key(cell)
        if key not in self._caches:
            capacity = self.config.window
            if self.num_blocks is not None:
                total = self.num_blocks * self.config.frames_per_block
                capacity = total if capacity is None else min(capacity, total)
            assert capacity is not None  # a stream without end has a window
            self._caches[key] = KVCache(
                self.model.config, batch_size=self._batch_size, frame_tokens=self._frame_tokens,
                capacity=capacity, sink=min(self.config.sink, capacity - 1),
                device=self.model.device, dtype=self.model.dtype,
            )  # fmt: skip
        return self._caches[key]

    def _timesteps(self, timestep: float, x: torch.Tensor) -> torch.Tensor:
        return torch.full((x.shape[0],), timestep, dtype=torch.float32, device=x.device)


@torch.no_grad()
def sample_latents(
    model: CausalWan,
    text: torch.Tensor,
    noise: torch.Tensor,
    config: SamplerConfig,
    *,
    renoise: RenoiseFn | None = None,
    seed: int = 0,
    prompt_index: int = 0,
    on_cell: Callable[[Cell], None] | None = None,
) -> torch.Tensor:
    """Sample whole latent videos.

    Args:
        model: The transformer.
        text: Text embeddings [B, text, text_dim].
        noise: Initial noise [B, F, C, H, W], F a whole number of blocks, on the model's device.
        config: Order, context, steps, window.
        renoise: `renoise(step, block)` returns [B, frames_per_block, C, H, W]; replaces the
            generator keyed by (seed, prompt, block, step).
        seed: Of the keyed generator.
        prompt_index: Key of the first video of the batch; video i has prompt_index + i.
        on_cell: Called after each cell, for progress and timing.

    Returns:
        Clean latents [B, F, C, H, W], the dtype of `noise`.

    Raises:
        UsageError: If shapes do not fit.
    """
    if noise.ndim != 5 or noise.shape[0] != text.shape[0]:
        raise UsageError(
            f"noise has shape {tuple(noise.shape)}: it must be [B, F, C, H, W] with "
            f"B = {text.shape[0]}, the batch of the text"
        )
    size = config.frames_per_block
    blocks = num_blocks(noise.shape[1], size)
    if renoise is None:
        renoise = keyed_renoise(
            (size, *noise.shape[2:]), seed=seed,
            prompt_indices=range(prompt_index, prompt_index + noise.shape[0]),
            device=noise.device, dtype=noise.dtype,
        )  # fmt: skip
    runner = CellRunner(
        model, text, config, renoise, latent_shape=noise.shape[2:], num_blocks=blocks
    )
    state = list(noise.split(size, dim=1))
    for cell in cells(config.order, len(runner.steps), blocks):
        state[cell.block] = runner.run(cell, state[cell.block])
        if on_cell is not None:
            on_cell(cell)
    return torch.cat(state, dim=1)


def stream_latents(
    model: CausalWan,
    text: torch.Tensor,
    config: SamplerConfig,
    *,
    latent_shape: Sequence[int],
    num_blocks: int | None = None,
    seed: int = 0,
    prompt_index: int = 0,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Sample block by block, in constant memory, for as long as one likes.

    Args:
        model: The transformer.
        text: Text embeddings [B, text, text_dim].
        config: With order `diagonal` or `block_first`, and a window if there is no end.
        latent_shape: (C, H, W) of a latent frame.
        num_blocks: Blocks to make; None runs without end.
        seed: Of the keyed generator.
        prompt_index: Key of the first video of the batch.

    Returns:
        Yields (block_index, clean float32 latents [B, frames_per_block, C, H, W]) in order.

    Raises:
        UsageError: At once, if the order cannot stream or shapes do not fit.
    """
    if config.order == "step_first":
        raise UsageError("order 'step_first' finishes no block before the last sweep: use diagonal")
    if len(latent_shape) != 3:
        raise UsageError(f"latent_shape {tuple(latent_shape)} must be (C, H, W)")
    if num_blocks is None and config.window is None:
        raise UsageError("a stream without end needs a window, or memory would grow: set a window")
    if num_blocks is not None and num_blocks < 1:
        raise UsageError(f"num_blocks {num_blocks} must be at least 1, or None for no end")
    return _stream(
        model, text, config, latent_shape=latent_shape, num_blocks=num_blocks,
        seed=seed, prompt_index=prompt_index,
    )  # fmt: skip


@torch.no_grad()
def _stream(
    model: CausalWan,
    text: torch.Tensor,
    config: SamplerConfig,
    *,
    latent_shape: Sequence[int],
    num_blocks: int | None,
    seed: int,
    prompt_index: int,
) -> Iterator[tuple[int, torch.Tensor]]:
    block_shape = (config.frames_per_block, *latent_shape)
    indices = range(prompt_index, prompt_index + text.shape[0])
    renoise = keyed_renoise(
        block_shape, seed=seed, prompt_indices=indices, device=model.device, dtype=torch.float32
    )
    runner = CellRunner(
        model, text, config, renoise, latent_shape=latent_shape, num_blocks=num_blocks
    )
    state: dict[int, torch.Tensor] = {}
    for cell in cells(config.order, len(runner.steps), num_blocks):
        if cell.step == 0:
            state[cell.block] = block_noise(
                block_shape, seed=seed, prompt_indices=indices, block=cell.block, step=INITIAL_STEP
            ).to(model.device)
        state[cell.block] = runner.run(cell, state[cell.block])
        if cell.step + 1 == len(runner.steps):
            yield cell.block, state.pop(cell.block)
