"""The stage that turns the teacher into a causal student: regression on ODE pairs.

For each block of a video a point of the teacher's path is drawn, and the point's noise level is the
block's timestep; the student, block-causal, predicts the path's clean end.
Source: Self-Forcing and CausVid, ODE regression; the paper, Sec. 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from hiar.errors import UsageError
from hiar.model.geometry import num_blocks
from hiar.runtime.ranks import Ranks
from hiar.sampling.config import NUM_TRAIN_TIMESTEPS
from hiar.sampling.sigmas import x0_from_flow
from hiar.training.data import Trajectories
from hiar.training.keyed import data_indices, keyed_uniform
from hiar.training.optimise import warmup_cosine
from hiar.training.stages.one_network import OneNetworkStage

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan


@dataclass(frozen=True, kw_only=True)
class OdeInitConfig:
    """Settings of one run of ODE regression.

    Attributes:
        steps: Optimiser steps.
        batch_size: Trajectories a step, all processes together.
        micro_batch: Trajectories in memory at once; None is all of a process's share.
        learning_rate: Peak of the schedule.
        schedule: constant (the release), or one_cycle (linear warm-up, then a cosine to zero).
        warmup_steps: Steps of linear warm-up (one_cycle only).
        frames_per_block: Latent frames of a block.
        beta1, beta2, weight_decay: Settings of AdamW.
        clip_norm: Largest norm of the gradient.
        ema_decay: Decay of the weights' EMA; 0 keeps none.
    """

    steps: int
    batch_size: int = 64
    micro_batch: int | None = None
    learning_rate: float = 2e-6
    schedule: str = "constant"
    warmup_steps: int = 0
    frames_per_block: int = 3
    beta1: float = 0.0
    beta2: float = 0.999
    weight_decay: float = 1e-2
    clip_norm: float = 10.0
    ema_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.schedule not in ("constant", "one_cycle"):
            raise UsageError(f"schedule {self.schedule!r} is unknown: constant or one_cycle")


def mix_levels(
    points: torch.Tensor, choice_BN: torch.Tensor, frames_per_block: int
) -> torch.Tensor:
    """A video whose blocks lie at different points of its path.

    Args:
        points: Points of the paths [B, K + 1, F, C, H, W].
        choice_BN: Index of the point that each block is taken from, int64 [B, blocks].
        frames_per_block: Latent frames of a block.

    Returns:
        [B, F, C, H, W].
    """
    choice_BF = choice_BN.repeat_interleave(frames_per_block, dim=1)
    videos = torch.arange(len(points), device=points.device)[:, None]
    frames = torch.arange(points.shape[2], device=points.device)[None]
    return points[videos, choice_BF, frames]


def regression_loss(
    model: CausalWan,
    points: torch.Tensor,
    sigmas: torch.Tensor,
    text: torch.Tensor,
    choice_BN: torch.Tensor,
    frames_per_block: int,
) -> torch.Tensor:
    """Mean squared error of the student's x0 against the clean end of the teacher's path.

    Args:
        model: The student.
        points: Points of the paths [B, K + 1, F, C, H, W], the last one clean.
        sigmas: Noise level of each point [K + 1].
        text: Text embeddings [B, text, text_dim].
        choice_BN: Index of the point that each block is taken from, int64 [B, blocks], below K.
        frames_per_block: Latent frames of a block.
    """
    x = mix_levels(points, choice_BN, frames_per_block)
    sigmas_BF = sigmas[choice_BN].repeat_interleave(frames_per_block, dim=1)
    flow = model(
        x, sigmas_BF * NUM_TRAIN_TIMESTEPS, text, "block_causal", frames_per_block=frames_per_block
    )
    x0 = x0_from_flow(x, flow.float(), sigmas_BF[..., None, None, None])
    return functional.mse_loss(x0, points[:, -1])


class OdeInitStage(OneNetworkStage):
    """Regression of a causal student on the teacher's trajectories.

    Args:
        student: Begins with the teacher's weights; its parameters get gradients.
        trajectories: Points of the teacher's paths.
        config: Settings of the run.
        seed: Seed of every draw.
        ranks: This process among those that share a step's samples.
    """

    product = "student"

    def __init__(
        self,
        student: CausalWan,
        trajectories: Trajectories,
        config: OdeInitConfig,
        *,
        seed: int,
        ranks: Ranks = Ranks(),  # noqa: B008  (frozen)
    ) -> None:
        super().__init__(student, config, betas=(config.beta1, config.beta2), ranks=ranks)
        self._trajectories, self._config, self._seed = trajectories, config, seed

    def learning_rate(self, step: int) -> float:
        """Constant, or warm-up and cosine."""
        config = self._config
        if config.schedule == "constant":
            return config.learning_rate
        return config.learning_rate * warmup_cosine(step, config.steps, config.warmup_steps)

    def loss(self, step: int, samples: Sequence[int]) -> torch.Tensor:
        """The loss on trajectories and levels that belong to the samples."""
        config, device = self._config, self._model.device
        rows = data_indices(
            len(self._trajectories), seed=self._seed, step=step, batch_size=config.batch_size,
            samples=samples, purpose="trajectories",
        )  # fmt: skip
        batch = self._trajectories.read(rows)
        num_levels = len(batch.sigmas) - 1  # the clean end is the target
        blocks = num_blocks(batch.latents.shape[2], config.frames_per_block)
        uniform = keyed_uniform(
            (blocks,), seed=self._seed, step=step, samples=samples, purpose="levels"
        )
        choice = (uniform * num_levels).long()
        return regression_loss(
            self._model, batch.latents.to(device), batch.sigmas.to(device),
            batch.text.to(device), choice.to(device), config.frames_per_block,
        )  # fmt: skip
