"""One loop over (step, block) cells: the order is data, the cell is the same in all of them.

Semantics follow the HiAR release (inference_hybrid) and the paper's Algorithm 1. A cell denoises
its block against the cache of earlier blocks, moves it to the step's output level, and leaves it
in the cache at the level that the context asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch

from hiar.errors import UsageError
from hiar.model.geometry import num_blocks, token_grid
from hiar.model.kv_cache import CacheSlot, KVCache
from hiar.sampling.config import SamplerConfig
from hiar.sampling.denoising import CLEAN_TIMESTEP, Denoising
from hiar.sampling.noise import INITIAL_STEP, block_noise, keyed_renoise
from hiar.sampling.schedule import Cell, schedule_of, waves

if TYPE_CHECKING:
    from collections.abc import Callable

    from hiar.model.transformer import CausalWan, TextContext
    from hiar.sampling.noise import RenoiseFn

    OnCell = Callable[[Cell, torch.Tensor], None]

CLEAN_CACHE = -1
"""Key of the cache of what is clean from the start, beside the stages' keys 0, 1, ..."""


class ContextPass(NamedTuple):
    """A pass that is due: show `latents` of a cell's block to later ones, labelled `timestep`."""

    cell: Cell
    latents: torch.Tensor
    timestep: float


class CellRunner:
    """Runs cells of one batch of videos; owns the caches and the text context.

    Given latents and the lead blocks of a hybrid order are clean context of every stage: they go
    into one cache, and each stage's own cache begins as a copy of it.

    Args:
        model: In eval mode or not, it makes no difference: there is no dropout.
        text: Text embeddings [B, text, text_dim].
        config: Order, context, window.
        renoise: `renoise(step, block)` gives fresh noise [B, frames_per_block, C, H, W].
        latent_shape: (C, H, W).
        num_blocks: Blocks to make; None if the video has no end (then the window must be set).
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
        self._denoising = Denoising(config, renoise)
        self.steps = self._denoising.steps
        self.num_blocks = num_blocks
        self._text: list[TextContext] = [model.encode_text(text.to(model.device))]
        self._batch_size = text.shape[0]
        rows, columns = token_grid(latent_shape[1], latent_shape[2], model.config.patch_size)
        self._frame_tokens = rows * columns
        self._caches: dict[int, KVCache] = {}
        self.num_initial_frames = 0 if initial_latents is None else initial_latents.shape[1]
        if initial_latents is not None:
            self._show(initial_latents)

    def groups(self) -> Iterator[tuple[Cell, ...]]:
        """The cells in the sequence of the order; those of a group run in one forward pass."""
        if self.config.wave_batch:
            for wave in waves(len(self.steps), self.num_blocks):
                yield tuple(Cell(step, block) for step, block in wave)
        else:
            yield from ((cell,) for cell in self.schedule.cells(self.num_blocks))

    def run(self, group: Sequence[Cell], blocks: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Denoise each block of a group by one step and cache it as context.

        Args:
            group: Which block at which step; no two share a cache.
            blocks: Their latents [B, frames_per_block, C, H, W] at the step's input level.

        Returns:
            Their latents at the step's output level; after the last step, clean.
        """
        outputs, shown = self.denoise(group, blocks)
        self.show(shown)
        self.release(group)
        return outputs

    def denoise(
        self,
        group: Sequence[Cell],
        blocks: Sequence[torch.Tensor],
        *,
        after: ContextPass | None = None,
    ) -> tuple[list[torch.Tensor], list[ContextPass]]:
        """The first half of `run`: the outputs, and the context passes that are now due.

        Args:
            group: As in `run`.
            blocks: As in `run`.
            after: A context pass that is due, of the block before the group's only cell and at
                its step: both run in one forward pass.
        """
        if after is None:
            timesteps = [self.steps[cell.step].timestep for cell in group]
            flows = self._forward(group, blocks, timesteps)
            assert flows is not None
        else:
            flows = [self._forward_after(after, group[0], blocks[0])]
        outputs, shown = [], []
        for cell, x, flow in zip(group, blocks, flows, strict=True):
            x0 = self._denoising.predict(x, flow, cell.step)
            outputs.append(self._denoising.advance(cell, x, flow, x0, cell.step + 1))
            level = self.schedule.context_level(cell, self.num_blocks)
            if level == "clean":
                shown.append(ContextPass(cell, x0, CLEAN_TIMESTEP))
            elif level == "output":
                timestep = self.steps[cell.step + 1].timestep
                shown.append(ContextPass(cell, outputs[-1], timestep))
        return outputs, shown

    def show(self, passes: Sequence[ContextPass]) -> None:
        """Leave blocks in their caches at the level that later blocks see."""
        if passes:
            cells, latents, timesteps = zip(*passes, strict=True)
            self._forward(cells, latents, timesteps, need_flow=False)

    def release(self, group: Sequence[Cell]) -> None:
        """Free the caches that no cell after these needs."""
        for cell in group:
            if self._is_last_use(cell):
                del self._caches[self._cache_key(cell)]

    def _forward_after(self, after: ContextPass, cell: Cell, block: torch.Tensor) -> torch.Tensor:
        """The flow of a cell's block, once the block before it is shown, in one pass."""
        times = (after.timestep, self.steps[cell.step].timestep)
        each = [torch.full((self._batch_size,), t, device=block.device) for t in times]
        cache = self._cache(cell)
        return self.model.forward_cached(
            torch.cat((after.latents, block)), torch.cat(each), self._text_of(2),
            [CacheSlot(cache, self._first_frame(each)) for each in (after.cell, cell)],
            num_context=1,
        )  # fmt: skip

    def _forward(
        self,
        group: Sequence[Cell],
        blocks: Sequence[torch.Tensor],
        timesteps: Sequence[float],
        *,
        need_flow: bool = True,
    ) -> Sequence[torch.Tensor] | None:
        """One model call on the group's blocks; their flows, or None for a context pass."""
        batch = self._batch_size
        latents = blocks[0] if len(group) == 1 else torch.cat(tuple(blocks))
        each = [torch.full((batch,), t, device=latents.device) for t in timesteps]
        flow = self.model.forward_cached(
            latents, torch.cat(each), self._text_of(len(group)),
            [CacheSlot(self._cache(cell), self._first_frame(cell)) for cell in group],
            num_context=0 if need_flow else len(group),
        )  # fmt: skip
        return flow.split(batch) if need_flow else None

    def _show(self, initial_latents: torch.Tensor) -> None:
        """Cache given latents as clean context: a shorter first block if need be, whole ones after.

        The release takes whole blocks, or one frame before whole blocks.
        """
        size, total = self.config.frames_per_block, initial_latents.shape[1]
        cache = self._caches[CLEAN_CACHE] = self._new_cache()
        starts = [0, *range(total % size or size, total, size)]
        for start, end in zip(starts, [*starts[1:], total], strict=True):
            block = initial_latents[:, start:end]
            timesteps = torch.full((block.shape[0],), CLEAN_TIMESTEP, device=block.device)
            self.model.forward_cached(
                block, timesteps, self._text_of(1), [CacheSlot(cache, start)], num_context=1
            )

    def _first_frame(self, cell: Cell) -> int:
        return self.num_initial_frames + cell.block * self.config.frames_per_block

    def _text_of(self, num_groups: int) -> TextContext:
        """The text for that many groups at once; repeated once each, not once a call."""
        while len(self._text) < num_groups:
            self._text.append(self._text[0].repeat(len(self._text) + 1))
        return self._text[num_groups - 1]

    def _is_last_use(self, cell: Cell) -> bool:
        """Whether no later cell needs this cell's cache: its memory can go."""
        if self.num_blocks is None or cell.block + 1 < self.num_blocks:
            return False
        return self.schedule.is_through(cell)

    def _cache_key(self, cell: Cell) -> int:
        is_lead = cell.block < self.schedule.lead_blocks
        return CLEAN_CACHE if is_lead else self.schedule.stage_of(cell.step)

    def _cache(self, cell: Cell) -> KVCache:
        key = self._cache_key(cell)
        if key not in self._caches:
            self._caches[key] = self._first_cache(key)
        return self._caches[key]

    def _first_cache(self, key: int) -> KVCache:
        """A stage's cache as it begins; the last stage takes the clean one over."""
        if CLEAN_CACHE not in self._caches:
            return self._new_cache()
        if key + 1 == len(self.schedule.stages):
            return self._caches.pop(CLEAN_CACHE)
        return self._caches[CLEAN_CACHE].clone()

    def _new_cache(self) -> KVCache:
        capacity = self.config.window
        if self.num_blocks is not None:
            total = self.num_initial_frames + self.num_blocks * self.config.frames_per_block
            capacity = total if capacity is None else min(capacity, total)
        assert capacity is not None  # a stream without end has a window
        return KVCache(
            self.model.config, batch_size=self._batch_size, frame_tokens=self._frame_tokens,
            capacity=capacity, sink=min(self.config.sink, capacity - 1),
            device=self.model.device, dtype=self._text[0].keys[0].dtype,  # that of computing
        )  # fmt: skip


@torch.no_grad()
def sample_latents(
    model: CausalWan,
    text: torch.Tensor,
    noise: torch.Tensor,
    config: SamplerConfig,
    *,
    renoise: RenoiseFn | None = None,
    seed: int = 0,
    prompt_index: int | Sequence[int] = 0,
    initial_latents: torch.Tensor | None = None,
    on_cell: OnCell | None = None,
) -> torch.Tensor:
    """Sample whole latent videos.

    Args:
        model: The transformer.
        text: Text embeddings [B, text, text_dim].
        noise: Initial noise [B, F, C, H, W], F a whole number of blocks, on the model's device.
        config: Order, context, steps, window.
        renoise: `renoise(step, block)` returns [B, frames_per_block, C, H, W]; replaces the
            generator keyed by (seed, prompt, block, step). Blocks count from 0 with the noise.
        seed: Of the keyed generator.
        prompt_index: Key of each video of the batch; one number n means n, n + 1, ...
        initial_latents: Clean latents [B, F0, C, H, W] or [1, ...] that the videos begin with:
            one latent frame makes image-to-video, more continue a video.
        on_cell: Called after each cell with its block's latents, for progress and timing.

    Returns:
        Clean latents [B, F0 + F, C, H, W], the initial ones first, the dtype of `noise`.

    Raises:
        UsageError: If shapes do not fit, or the result is not finite.
    """
    if noise.ndim != 5 or noise.shape[0] != text.shape[0]:
        raise UsageError(
            f"noise has shape {tuple(noise.shape)}: it must be [B, F, C, H, W] with "
            f"B = {text.shape[0]}, the batch of the text"
        )
    size = config.frames_per_block
    blocks = num_blocks(noise.shape[1], size)
    latent_shape = noise.shape[2:]
    if renoise is None:
        renoise = keyed_renoise(
            (size, *latent_shape), seed=seed,
            prompt_indices=prompt_indices(prompt_index, noise.shape[0]),
            device=noise.device, dtype=noise.dtype,
        )  # fmt: skip
    if initial_latents is not None:
        initial_latents = fit_initial(initial_latents, noise.shape[0], latent_shape).to(noise)
    runner = CellRunner(
        model, text, config, renoise, latent_shape=latent_shape, num_blocks=blocks,
        initial_latents=initial_latents,
    )  # fmt: skip
    first_noise = noise.split(size, dim=1)
    finished = [x for _, x in _finished_blocks(runner, first_noise.__getitem__, on_cell)]
    return torch.cat(finished if initial_latents is None else [initial_latents, *finished], dim=1)


def stream_latents(
    model: CausalWan,
    text: torch.Tensor,
    config: SamplerConfig,
    *,
    latent_shape: Sequence[int],
    num_blocks: int | None = None,
    seed: int = 0,
    prompt_index: int | Sequence[int] = 0,
    initial_latents: torch.Tensor | None = None,
    on_cell: OnCell | None = None,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Sample block by block, in constant memory, for as long as one likes.

    Args:
        model: The transformer.
        text: Text embeddings [B, text, text_dim].
        config: With order `diagonal`, `hybrid` or `block_first`, and a window if there is no end.
        latent_shape: (C, H, W) of a latent frame.
        num_blocks: Blocks to make; None runs without end.
        seed: Of the keyed generator.
        prompt_index: Key of each video of the batch; one number n means n, n + 1, ...
        initial_latents: As for `sample_latents`; they are not among what is yielded.
        on_cell: As for `sample_latents`.

    Returns:
        Yields (block_index, clean float32 latents [B, frames_per_block, C, H, W]) in order.

    Raises:
        UsageError: At once, if the order cannot stream or shapes do not fit; on the way, if a
            block is not finite.
    """
    if config.order == "step_first":
        raise UsageError("order 'step_first' finishes no block before the last sweep: use diagonal")
    if len(latent_shape) != 3:
        raise UsageError(f"latent_shape {tuple(latent_shape)} must be (C, H, W)")
    if num_blocks is None and config.window is None:
        raise UsageError("a stream without end needs a window, or memory would grow: set a window")
    if num_blocks is not None and num_blocks < 1:
        raise UsageError(f"num_blocks {num_blocks} must be at least 1, or None for no end")
    if initial_latents is not None:
        initial_latents = fit_initial(initial_latents, text.shape[0], latent_shape)
    begin = partial(
        keyed_runner, model, text, config, latent_shape=latent_shape, num_blocks=num_blocks,
        seed=seed, indices=prompt_indices(prompt_index, text.shape[0]),
        initial_latents=initial_latents,
    )  # fmt: skip
    return _stream(begin, on_cell)


@torch.no_grad()
def _stream(
    begin: Callable[[], tuple[CellRunner, Callable[[int], torch.Tensor]]], on_cell: OnCell | None
) -> Iterator[tuple[int, torch.Tensor]]:
    """Nothing is computed before the first block is asked for."""
    runner, first_noise = begin()
    yield from _finished_blocks(runner, first_noise, on_cell)


def keyed_runner(
    model: CausalWan,
    text: torch.Tensor,
    config: SamplerConfig,
    *,
    latent_shape: Sequence[int],
    num_blocks: int | None,
    seed: int,
    indices: Sequence[int],
    initial_latents: torch.Tensor | None,
) -> tuple[CellRunner, Callable[[int], torch.Tensor]]:
    """A runner of float32 latents, and the first noise of each block; all noise is keyed.

    Args:
        model, text, config, latent_shape, num_blocks, seed: As for `stream_latents`.
        indices: Noise key of each video of the batch.
        initial_latents: Clean latents [B, F0, C, H, W], fitted, on any device.
    """
    block_shape = (config.frames_per_block, *latent_shape)
    if initial_latents is not None:
        initial_latents = initial_latents.to(model.device, torch.float32)
    renoise = keyed_renoise(
        block_shape, seed=seed, prompt_indices=indices, device=model.device, dtype=torch.float32
    )
    runner = CellRunner(
        model, text, config, renoise, latent_shape=latent_shape, num_blocks=num_blocks,
        initial_latents=initial_latents,
    )  # fmt: skip

    def first_noise(block: int) -> torch.Tensor:
        return block_noise(
            block_shape, seed=seed, prompt_indices=indices, block=block, step=INITIAL_STEP
        ).to(model.device)

    return runner, first_noise


def _finished_blocks(
    runner: CellRunner, first_noise: Callable[[int], torch.Tensor], on_cell: OnCell | None
) -> Iterator[tuple[int, torch.Tensor]]:
    """The loop: run every group of cells, yield (block, clean latents) as blocks are finished."""
    state: dict[int, torch.Tensor] = {}
    for group in runner.groups():
        for cell in group:
            if cell.step == 0:
                state[cell.block] = first_noise(cell.block)
        outputs = runner.run(group, [state[cell.block] for cell in group])
        for cell, latents in zip(group, outputs, strict=True):
            state[cell.block] = latents
            if on_cell is not None:
                on_cell(cell, latents)
            if cell.step + 1 == len(runner.steps):
                yield cell.block, check_finite(state.pop(cell.block), cell.block)


def prompt_indices(prompt_index: int | Sequence[int], batch_size: int) -> Sequence[int]:
    """The noise key of each video: those given, or a run that begins at the one given."""
    if isinstance(prompt_index, int):
        return range(prompt_index, prompt_index + batch_size)
    if len(prompt_index) != batch_size:
        raise UsageError(f"{len(prompt_index)} prompt indices for {batch_size} videos: one each")
    return tuple(prompt_index)


def fit_initial(
    latents: torch.Tensor, batch_size: int, latent_shape: Sequence[int]
) -> torch.Tensor:
    """Initial latents [B, F0, C, H, W], given for each video or once for all."""
    fits = latents.ndim == 5 and latents.shape[0] in (1, batch_size) and latents.shape[1] > 0
    if not fits or latents.shape[2:] != tuple(latent_shape):
        raise UsageError(
            f"initial_latents have shape {tuple(latents.shape)}: they must be "
            f"[{batch_size} or 1, at least 1, {', '.join(map(str, latent_shape))}]"
        )
    check_finite(latents, "given")
    return latents.expand(batch_size, -1, -1, -1, -1)


def check_finite(latents: torch.Tensor, block: int | str) -> torch.Tensor:
    """The latents of a finished block; an error if a value is NaN or infinite."""
    if not latents.isfinite().all():
        share = 1 - latents.isfinite().float().mean().item()
        raise UsageError(
            f"latents of block {block}: {share:.0%} of the values are not finite; float16 "
            "overflows where bfloat16 and float32 do not: use one of these, or check the weights"
        )
    return latents
