"""Sampling videos in one process: whole ones, or block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hiar.errors import UsageError
from hiar.model.geometry import num_blocks
from hiar.sampling.cells import CellRunner
from hiar.sampling.checks import check_memory, check_noise, fit_initial, fit_prompt_indices
from hiar.sampling.noise import KeyedNoise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hiar.model.transformer import CausalWan
    from hiar.sampling.cells import OnCell
    from hiar.sampling.config import SamplerConfig
    from hiar.sampling.noise import RenoiseFn


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
        seed: Seed of the keyed generator.
        prompt_index: Noise key of each video of the batch; one number n means n, n + 1, ...
        initial_latents: Clean latents [B, F0, C, H, W] or [1, ...] that the videos begin with:
            one latent frame makes image-to-video, more continue a video.
        on_cell: Called after each cell with its block's latents, for progress and timing.

    Returns:
        Clean latents [B, F0 + F, C, H, W], the initial ones first, the dtype of `noise`.

    Raises:
        UsageError: If shapes do not fit, or the result is not finite.
    """
    check_noise(noise, text)
    size, latent_shape = config.frames_per_block, noise.shape[2:]
    blocks = num_blocks(noise.shape[1], size)
    if renoise is None:
        renoise = KeyedNoise(
            block_shape=(size, *latent_shape), seed=seed,
            prompt_indices=fit_prompt_indices(prompt_index, noise.shape[0]),
            device=noise.device, dtype=noise.dtype,
        ).renoise  # fmt: skip
    if initial_latents is not None:
        initial_latents = fit_initial(initial_latents, noise.shape[0], latent_shape).to(noise)
    runner = CellRunner(
        model, text, config, renoise, latent_shape=latent_shape, num_blocks=blocks,
        initial_latents=initial_latents,
    )  # fmt: skip
    first_noise = noise.split(size, dim=1)
    finished = [latents for _, latents in runner.blocks(first_noise.__getitem__, on_cell)]
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
        num_blocks: Number of blocks to make; None runs without end.
        seed: Seed of the keyed generator.
        prompt_index: Noise key of each video of the batch; one number n means n, n + 1, ...
        initial_latents: Clean latents that the videos begin with, see `sample_latents`; they are
            not among what is yielded.
        on_cell: Called after each cell with its block's latents, for progress and timing.

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
    check_memory(config, num_blocks)
    if num_blocks is not None and num_blocks < 1:
        raise UsageError(f"num_blocks {num_blocks} must be at least 1, or None for no end")
    noise = KeyedNoise(
        block_shape=(config.frames_per_block, *latent_shape), seed=seed,
        prompt_indices=fit_prompt_indices(prompt_index, text.shape[0]), device=model.device,
    )  # fmt: skip
    if initial_latents is not None:
        initial_latents = fit_initial(initial_latents, text.shape[0], latent_shape)
        initial_latents = initial_latents.to(noise.device, noise.dtype)
    return _stream(
        model, text, config, noise, num_blocks=num_blocks, initial_latents=initial_latents,
        on_cell=on_cell,
    )  # fmt: skip


@torch.no_grad()
def _stream(
    model: CausalWan,
    text: torch.Tensor,
    config: SamplerConfig,
    noise: KeyedNoise,
    *,
    num_blocks: int | None,
    initial_latents: torch.Tensor | None,
    on_cell: OnCell | None,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Sample; as a generator, it computes nothing before the first block is asked for."""
    runner = CellRunner(
        model, text, config, noise.renoise, latent_shape=noise.block_shape[1:],
        num_blocks=num_blocks, initial_latents=initial_latents,
    )  # fmt: skip
    yield from runner.blocks(noise.first, on_cell)
