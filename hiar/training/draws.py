"""The random numbers of one training step's rollouts: prompts, noise, exit step and length."""

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
"""Network that the rollouts train: each role has its own prompts, noise and exit step."""


class RolloutDraws:
    """The prompts, the noise and the exit step of some samples of one training step.

    The exit step and the length are drawn once for all samples: sharded networks must be called
    equally often in every process.

    Args:
        config: Settings of the distillation.
        texts: Prompts.
        latent_shape: (F, C, H, W) of a training video.
        seed: Seed of the run.
        step: Index of the training step.
        role: Student or critic.
        samples: Indices of the samples in the step's batch.
        device: Device of the tensors, which are drawn on the CPU.

    Attributes:
        rows: Indices of the prompts, one a sample.
        text: Their embeddings [B, text, text_dim].
        exit_step: Index of the step at which the rollouts exit.
        noise: Initial noise [B, F, C, H, W].
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
        self.rows = rows
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

    def steps_of_blocks(self, num_steps: int) -> torch.Tensor:
        """A denoising step for each block of each sample, uniform, int64 [B, blocks]."""
        blocks = range(self.noise.shape[1] // self._block_shape[0])
        draws = [
            [self._integer(num_steps, f"step of block {block}", sample) for block in blocks]
            for sample in self._samples
        ]  # fmt: skip
        return torch.tensor(draws, device=self._device)

    def _integer(self, high: int, purpose: str, sample: int = 0) -> int:
        return keyed_integer(
            high, seed=self._seed, step=self._step, sample=sample, purpose=f"{self._role} {purpose}"
        )
