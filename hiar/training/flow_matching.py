"""Train a transformer to predict the flow of noised latents.

Bidirectional attention with one noise level a video makes a teacher. Block-causal attention with
an independent level for each block (diffusion forcing) makes a model that any order and context
can sample: some blocks are left clean, since a finished block is what block-first shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from hiar.config import NUM_TRAIN_TIMESTEPS
from hiar.errors import UsageError
from hiar.geometry import num_blocks
from hiar.sigmas import add_noise, shift_sigma
from hiar.training.optimise import descend, one_cycle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hiar.transformer import CausalWan


@dataclass(frozen=True, kw_only=True)
class FlowMatchingConfig:
    """Settings of one flow-matching run.

    Attributes:
        attention: Bidirectional (a teacher) or block_causal (diffusion forcing).
        steps: Optimiser steps.
        batch_size: Videos a step.
        learning_rate: Peak of a one-cycle schedule.
        warmup_steps: Steps of linear warm-up.
        shift: Of the noise scale; u is uniform before it.
        frames_per_block: Latent frames of a block.
        clean_share: Share of the blocks left clean, as context (block_causal only).
        text_dropout: Share of the videos trained without their prompt, for guidance.
        weight_decay, clip_norm: Of the optimiser.
    """

    attention: Literal["bidirectional", "block_causal"]
    steps: int
    batch_size: int = 8
    learning_rate: float = 1.2e-3
    warmup_steps: int = 100
    shift: float = 5.0
    frames_per_block: int = 3
    clean_share: float = 0.2
    text_dropout: float = 0.05
    weight_decay: float = 1e-2
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.clean_share < 1 or not 0 <= self.text_dropout < 1:
            raise UsageError("clean_share and text_dropout are shares in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Latents [B, F, C, H, W] and text [B, text, text_dim]."""

    latents: torch.Tensor
    text: torch.Tensor


def draw_sigmas(num_videos: int, num_blocks: int, config: FlowMatchingConfig) -> torch.Tensor:
    """Noise levels, float32 [B, blocks]; 0 marks a clean block."""
    if config.attention == "bidirectional":
        return shift_sigma(torch.rand(num_videos, 1), config.shift).expand(-1, num_blocks)
    sigmas = shift_sigma(torch.rand(num_videos, num_blocks), config.shift)
    return sigmas.masked_fill(torch.rand(num_videos, num_blocks) < config.clean_share, 0.0)


def flow_matching_loss(
    model: CausalWan, batch: Batch, sigmas_BN: torch.Tensor, config: FlowMatchingConfig
) -> torch.Tensor:
    """Mean squared error of the flow over the noised blocks."""
    size = config.frames_per_block
    sigmas_BF = sigmas_BN.repeat_interleave(size, dim=1)
    noise = torch.randn_like(batch.latents)
    noised = add_noise(batch.latents, noise, sigmas_BF[..., None, None, None])
    flow = model(
        noised, sigmas_BF * NUM_TRAIN_TIMESTEPS, batch.text, config.attention, frames_per_block=size
    )
    errors_BF = (flow - (noise - batch.latents)).square().mean(dim=(2, 3, 4))
    counted = (sigmas_BN > 0).float().repeat_interleave(size, dim=1)
    loss: torch.Tensor = (errors_BF * counted).sum() / counted.sum().clamp(min=1)
    return loss


def train_flow_matching(
    model: CausalWan, draw_batch: Callable[[int], Batch], config: FlowMatchingConfig
) -> Iterator[tuple[int, float]]:
    """Train in place.

    Args:
        model: The transformer, float32, with gradients on.
        draw_batch: Given a batch size, returns a batch of whole blocks.
        config: Settings.

    Yields:
        Step index and loss.
    """
    optimiser = torch.optim.AdamW(
        model.parameters(),
        lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=config.weight_decay,
    )  # fmt: skip
    for step in range(config.steps):
        batch = draw_batch(config.batch_size)
        blocks = num_blocks(batch.latents.shape[1], config.frames_per_block)
        kept = torch.rand(config.batch_size, 1, 1) >= config.text_dropout
        batch = Batch(latents=batch.latents, text=batch.text * kept)
        sigmas = draw_sigmas(config.batch_size, blocks, config)
        loss = flow_matching_loss(model, batch, sigmas, config)
        rate = config.learning_rate * one_cycle(step, config.steps, config.warmup_steps)
        descend(optimiser, loss, learning_rate=rate, clip_norm=config.clip_norm)
        yield step, loss.item()
