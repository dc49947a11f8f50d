"""The loss that trains a transformer to predict the flow of noised latents.

Bidirectional attention with one noise level a video makes a teacher. Block-causal attention with
an independent level for each block (diffusion forcing) makes a model that any order and context
can sample; some blocks are left clean, since earlier blocks are clean in the order block-first.
In teacher forcing each block sees the clean blocks before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from hiar.errors import UsageError
from hiar.sampling.config import NUM_TRAIN_TIMESTEPS
from hiar.sampling.sigmas import add_noise, shift_sigma

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan


@dataclass(frozen=True, kw_only=True)
class FlowMatchingConfig:
    """Settings of one flow-matching run.

    Attributes:
        attention: Bidirectional (a teacher), block_causal (diffusion forcing) or teacher_forcing.
        steps: Optimiser steps.
        batch_size: Videos a step.
        micro_batch: Videos in memory at once; None is all of a process's share.
        learning_rate: Peak learning rate, after the warm-up and before the cosine.
        warmup_steps: Steps of linear warm-up.
        shift: Shift of the noise scale, which is applied to uniform draws (Eq. 1).
        frames_per_block: Latent frames of a block.
        clean_share: Share of the blocks left clean, as context (block_causal only).
        text_dropout: Share of the videos trained without their prompt, for guidance.
        weight_decay: Weight decay of AdamW.
        clip_norm: Largest norm of the gradient.
        ema_decay: Decay of the weights' EMA; 0 keeps none.
    """

    attention: Literal["bidirectional", "block_causal", "teacher_forcing"]
    steps: int
    batch_size: int = 8
    micro_batch: int | None = None
    learning_rate: float = 1.2e-3
    warmup_steps: int = 100
    shift: float = 5.0
    frames_per_block: int = 3
    clean_share: float = 0.2
    text_dropout: float = 0.05
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    ema_decay: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.clean_share < 1 or not 0 <= self.text_dropout < 1:
            raise UsageError("clean_share and text_dropout are shares in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Latents [B, F, C, H, W] and text [B, text, text_dim]."""

    latents: torch.Tensor
    text: torch.Tensor


def noise_levels(
    uniform_BN: torch.Tensor, clean_BN: torch.Tensor, config: FlowMatchingConfig
) -> torch.Tensor:
    """Noise level of each block, float32 [B, blocks]; 0 marks a clean block.

    Args:
        uniform_BN: Uniform draws in [0, 1), one a block.
        clean_BN: Uniform draws in [0, 1), one a block; one below `clean_share` makes its block
            clean (block_causal only).
        config: Settings of the run.
    """
    if config.attention == "bidirectional":
        return shift_sigma(uniform_BN[:, :1], config.shift).expand_as(uniform_BN)
    sigmas = shift_sigma(uniform_BN, config.shift)
    if config.attention == "teacher_forcing":
        return sigmas
    return sigmas.masked_fill(clean_BN < config.clean_share, 0.0)


def flow_matching_loss(
    model: CausalWan,
    batch: Batch,
    noise: torch.Tensor,
    sigmas_BN: torch.Tensor,
    config: FlowMatchingConfig,
) -> torch.Tensor:
    """Mean over the videos of the flow's mean squared error over the noised blocks of each.

    Args:
        model: The transformer.
        batch: Clean latents and text.
        noise: Unit normal noise, the shape of the latents.
        sigmas_BN: Noise level of each block, from `noise_levels`.
        config: Settings of the run.
    """
    size = config.frames_per_block
    sigmas_BF = sigmas_BN.repeat_interleave(size, dim=1)
    noised = add_noise(batch.latents, noise, sigmas_BF[..., None, None, None])
    clean = batch.latents if config.attention == "teacher_forcing" else None
    flow = model(
        noised, sigmas_BF * NUM_TRAIN_TIMESTEPS, batch.text, config.attention,
        frames_per_block=size, clean_latents=clean,
    )  # fmt: skip
    errors_BF = (flow.float() - (noise - batch.latents)).square().mean(dim=(2, 3, 4))
    counted = (sigmas_BF > 0).float()
    per_video = (errors_BF * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)
    loss: torch.Tensor = per_video.mean()
    return loss
