"""Noise that belongs to a place in the computation, not to the moment it is drawn.

Every draw is keyed by (seed, prompt, block, step), so any order of the same cells, any batch and
any number of processes sees the same noise. Draws are made on the CPU in float32 and moved, so
the device does not matter either.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    RenoiseFn = Callable[[int, int], torch.Tensor]

INITIAL_STEP = 0
"""Key of a block's first noise; the draw after step s has key s + 1."""


def keyed_noise(
    shape: Sequence[int], *, seed: int, prompt_index: int, block: int, step: int
) -> torch.Tensor:
    """Unit normal noise for one prompt, block and step.

    Args:
        shape: Of the result.
        seed: Of the run.
        prompt_index: Position of the prompt in its list (and of the sample, see `sample_key`).
        block: Block index.
        step: 0 for the initial noise, s + 1 for the noise added after step s.

    Returns:
        float32 on the CPU.
    """
    key = hashlib.sha256(f"{seed}/{prompt_index}/{block}/{step}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "little") >> 1)
    return torch.randn(tuple(shape), generator=generator)


def block_noise(
    block_shape: Sequence[int], *, seed: int, prompt_indices: Sequence[int], block: int, step: int
) -> torch.Tensor:
    """The keyed noise of one block of several prompts, float32 [B, F, C, H, W] on the CPU."""
    draws = [
        keyed_noise(block_shape, seed=seed, prompt_index=index, block=block, step=step)
        for index in prompt_indices
    ]
    return torch.stack(draws)


def initial_noise(
    num_prompts: int,
    num_blocks: int,
    block_shape: Sequence[int],
    *,
    seed: int,
    prompt_indices: Sequence[int] | None = None,
) -> torch.Tensor:
    """Noise of whole videos, float32 [B, blocks x frames, C, H, W]; block_shape is [F, C, H, W]."""
    indices = range(num_prompts) if prompt_indices is None else prompt_indices
    blocks = [
        block_noise(block_shape, seed=seed, prompt_indices=indices, block=block, step=INITIAL_STEP)
        for block in range(num_blocks)
    ]
    return torch.cat(blocks, dim=1)


def keyed_renoise(
    block_shape: Sequence[int],
    *,
    seed: int,
    prompt_indices: Sequence[int],
    device: torch.device | str,
    dtype: torch.dtype,
) -> RenoiseFn:
    """The sampler's default `renoise(step, block)`: [B, F, C, H, W] keyed noise on the device."""

    def renoise(step: int, block: int) -> torch.Tensor:
        noise = block_noise(
            block_shape, seed=seed, prompt_indices=prompt_indices, block=block, step=step + 1
        )
        return noise.to(device=device, dtype=dtype)

    return renoise
