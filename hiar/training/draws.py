"""What is random about the rollouts of one training step, drawn where it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch

from hiar.sampling.config import NUM_TRAIN_TIMESTEPS
from hiar.training.data import Texts
from hiar.training.keyed import data_indices, keyed_integer, keyed_normal

if TYPE_CHECKING:
    from hiar.training.recipes import DistillConfig

Role = Literal["student", "critic"]
"""Whose update the rollouts are for: each has prompts, noise and an exit of its own."""


class RolloutDraws:
    """The prompts, the noise and the exit of some samples of one step.

    The exit and the length are drawn once for all samples of the step: sharded networks must be
    called equally often in every process.

    Args:
        config: Settings of the distillation.
        texts: Prompts.
        latent_shape: (F, C, H, W) of a training video.
        seed, step: Of the run and of the step.
        role: Student or critic.
        samples: Indices in the step's batch.
        device: Where tensors go; they are drawn on the CPU.
    """

    def __init__(
        self,
        config: DistillConfig,
        texts: Texts,
        latent_shape: Sequence[int],
        *,
        seed: int,
        role: Role,
        step: int,
        samples: Sequence[int],
        device: torch.device,
    ) -> None:
        self._seed, self._role, self._step, self._samples = seed, role, step, samples
        self._device = device
        turn = step // config.generator_every if role == "student" else step
        rows = data_indices(
            len(texts), seed=seed, step=turn, batch_size=config.batch_size, samples=samples,
            purpose=f"{role} prompts",
        )  # fmt: skip
        self.text = texts.read(rows).to(device)
        exits = len(config.sampler.steps) - config.min_exit_step
        self.exit_step = config.min_exit_step + self._integer(exits, "exit")
        num_frames, *frame_shape = latent_shape
        size = config.sampler.frames_per_block
        longest = config.max_rollout_frames or num_frames
        num_frames += size * self._integer((longest - num_frames) // size + 1, "length")
        self._block_shape = (size, *frame_shape)
        self.noise = self.normal((num_frames, *frame_shape), "noise")

    def normal(self, shape: Sequence[int], purpose: str) -> torch.Tensor:
        """Unit normal noise [B, *shape]."""
        return keyed_normal(
            shape, seed=self._seed, step=self._step, samples=self._samples,
            purpose=f"{self._role} {purpose}",
        ).to(self._device)  # fmt: skip

    def renoise(self, step: int, block: int) -> torch.Tensor:
        """Noise for a block after a denoising step [B, frames_per_block, C, H, W]."""
        return self.normal(self._block_shape, f"renoise {step} {block}")

    def uniform(self) -> torch.Tensor:
        """A whole number in [0, 1000) for each sample, int64 [B]."""
        draws = [
            self._integer(NUM_TRAIN_TIMESTEPS, "score timestep", sample)
            for sample in self._samples
        ]  # fmt: skip
        return torch.tensor(draws, device=self._device)

    def _integer(self, high: int, purpose: str, sample: int = 0) -> int:
        return keyed_integer(
            high, seed=self._seed, step=self._step, sample=sample, purpose=f"{self._role} {purpose}"
        )
