"""Noise that depends on where it is used in the computation, not on when it is drawn.

Every draw is keyed by (seed, prompt, block, step). Any order of the same cells, any batch and any
number of processes therefore see the same noise. Draws are made on the CPU in float32 and then
moved, so the noise does not depend on the device either.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    RenoiseFn = Callable[[int, int], torch.Tensor]

INITIAL_STEP = 0
"""Step in the key of a block's initial noise; the noise added after step s has s + 1."""


def keyed_noise(
    shape: Sequence[int], *, seed: int, prompt_index: int, block: int, step: int
) -> torch.Tensor:
    """Unit normal noise for one prompt, block and step.

    Args:
        shape: Shape of the result.
        seed: Seed of the run.
        prompt_index: Noise key of the video: the position of its prompt in the list of prompts.
        block: Index of the block.
        step: 0 for the initial noise, s + 1 for the noise that is added after step s.

    Returns:
        Noise of that shape, float32 on the CPU.
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


@dataclass(frozen=True, kw_only=True)
class KeyedNoise:
    """All noise of the blocks of several videos, keyed by (seed, prompt, block, step).

    Attributes:
        block_shape: Shape of a block, (F, C, H, W).
        seed: Seed of the run.
        prompt_indices: Noise key of each video of the batch.
        device: Device on which the noise is wanted.
        dtype: Dtype in which the noise is wanted; it is drawn in float32.
    """

    block_shape: Sequence[int]
    seed: int
    prompt_indices: Sequence[int]
    device: torch.device | str = "cpu"
    dtype: torch.dtype = torch.float32

    def first(self, block: int) -> torch.Tensor:
        """The initial noise [B, F, C, H, W] of a block."""
        return self._draw(block, INITIAL_STEP)

    def renoise(self, step: int, block: int) -> torch.Tensor:
        """The noise [B, F, C, H, W] that is added to a block after a step: a `RenoiseFn`."""
        return self._draw(block, step + 1)

    def _draw(self, block: int, key_step: int) -> torch.Tensor:
        noise = block_noise(
            self.block_shape, seed=self.seed, prompt_indices=self.prompt_indices, block=block,
            step=key_step,
        )  # fmt: skip
        return noise.to(device=self.device, dtype=self.dtype)
