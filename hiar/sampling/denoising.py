"""What a denoising step computes beside the model call; sampling and training share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hiar.errors import UsageError
from hiar.sampling.sigmas import (
    Step,
    add_noise,
    denoising_steps,
    euler_step,
    sigma_at,
    x0_from_flow,
)

if TYPE_CHECKING:
    from hiar.sampling.config import SamplerConfig
    from hiar.sampling.noise import RenoiseFn
    from hiar.sampling.schedule import Cell

CLEAN_TIMESTEP = 0.0
"""Timestep that labels finished latents (HiAR release, configs/hiar.yaml, context_noise: 0)."""


class Denoising:
    """The steps of a sampler and how a block gets from the noise level of one to that of another.

    Args:
        config: Steps of the sampler, and whether they draw fresh noise.
        renoise: `renoise(step, block)` returns fresh noise of a block's shape.
    """

    def __init__(self, config: SamplerConfig, renoise: RenoiseFn) -> None:
        self.steps: tuple[Step, ...] = denoising_steps(config)
        self.context_timestep = config.context_noise or CLEAN_TIMESTEP
        self._context_sigma = float(sigma_at(torch.tensor(config.context_noise), config.shift))
        self._stochastic = config.stochastic
        self._renoise = renoise

    def predict(self, x: torch.Tensor, flow: torch.Tensor, step: int) -> torch.Tensor:
        """The clean block x0 that the flow at a step's input level points to."""
        return x0_from_flow(x, flow, self.steps[step].sigma)

    def advance(
        self, cell: Cell, x: torch.Tensor, flow: torch.Tensor, x0: torch.Tensor, next_step: int
    ) -> torch.Tensor:
        """Take a block from the input level of a cell's step to that of a later step.

        Args:
            cell: The block and its step.
            x: Its latents at the step's input level.
            flow: What the model predicted from them.
            x0: What `predict` made of the flow.
            next_step: Step whose input level is wanted; the number of steps stands for clean.

        Returns:
            The block's latents at that level.

        Raises:
            UsageError: If `renoise` gives noise of another shape.
        """
        if next_step == len(self.steps):
            return x0
        next_sigma = self.steps[next_step].sigma
        if not self._stochastic:
            return euler_step(x, flow, self.steps[cell.step].sigma, next_sigma)
        return self._noised(cell, x0, next_sigma)

    def clean_context(self, cell: Cell, x0: torch.Tensor) -> torch.Tensor:
        """What later blocks see of a prediction x0 when context is clean: Eq. 6 of the paper.

        The noise is that which `advance` adds after the same step, so that a context noised to the
        step's output level is the context that `output` shows.
        """
        if not self.context_timestep:
            return x0
        return self._noised(cell, x0, self._context_sigma)

    def _noised(self, cell: Cell, x0: torch.Tensor, sigma: float) -> torch.Tensor:
        noise = self._renoise(cell.step, cell.block)
        if noise.shape != x0.shape:
            raise UsageError(
                f"renoise({cell.step}, {cell.block}) gave {tuple(noise.shape)}: "
                f"a block is {tuple(x0.shape)}"
            )
        return add_noise(x0, noise, sigma)
