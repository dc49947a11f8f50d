"""The shifted flow-matching noise scale: x = (1 - sigma) x0 + sigma noise, flow = noise - x0.

Source: HiAR release (2026-06-19), utils/scheduler.py; the paper's Eqs. 1-3. As in the release, the
sigma of a timestep is the nearest entry of a table of 1000: timestep 0 is not in the table, and
gets 0.005.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from hiar.errors import UsageError
from hiar.sampling.config import NUM_TRAIN_TIMESTEPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hiar.sampling.config import SamplerConfig


@dataclass(frozen=True, kw_only=True)
class Step:
    """One denoising step: the model's timestep in [0, 1000] and its noise level sigma."""

    timestep: float
    sigma: float


def shift_sigma(sigma: torch.Tensor, shift: float) -> torch.Tensor:
    """Eq. 1: s u / (1 + (s - 1) u), for u in [0, 1]."""
    return shift * sigma / (1 + (shift - 1) * sigma)


@lru_cache(maxsize=8)
def sigma_table(shift: float, num_entries: int = NUM_TRAIN_TIMESTEPS) -> torch.Tensor:
    """Sigmas from 1 down to just above 0, float32 [num_entries]; timesteps are 1000 times these."""
    return shift_sigma(torch.linspace(1, 0, num_entries + 1)[:-1], shift)


def timestep_table(shift: float, num_entries: int = NUM_TRAIN_TIMESTEPS) -> torch.Tensor:
    """Timesteps of the table, float32 [num_entries], from 1000 down."""
    return sigma_table(shift, num_entries) * NUM_TRAIN_TIMESTEPS


def nearest_index(timesteps: torch.Tensor, shift: float) -> torch.Tensor:
    """Index of the table entry nearest to each timestep, int64, any shape."""
    table = timestep_table(shift).to(timesteps.device)
    return (table - timesteps.to(table.dtype).unsqueeze(-1)).abs().argmin(dim=-1)


def sigma_at(timesteps: torch.Tensor, shift: float) -> torch.Tensor:
    """Sigma of the nearest table entry, float32, the shape of `timesteps`."""
    return sigma_table(shift).to(timesteps.device)[nearest_index(timesteps, shift)]


def warp_steps(steps: Sequence[float], shift: float) -> torch.Tensor:
    """Timesteps of the table at positions 1000 - step, float32: 750 is 937.5 at shift 5."""
    indices = [NUM_TRAIN_TIMESTEPS - int(step) for step in steps]
    if any(not 0 <= index < NUM_TRAIN_TIMESTEPS for index in indices):
        raise UsageError(f"steps {tuple(steps)}: each must lie in [1, 1000] to be warped")
    return timestep_table(shift)[indices]


def denoising_steps(config: SamplerConfig) -> tuple[Step, ...]:
    """The timesteps and sigmas of a sampler's steps, in the order they run."""
    if config.warp:
        timesteps = warp_steps(config.steps, config.shift)
    else:
        timesteps = torch.tensor(config.steps, dtype=torch.float32)
    sigmas = sigma_at(timesteps, config.shift)
    return tuple(
        Step(timestep=t, sigma=s) for t, s in zip(timesteps.tolist(), sigmas.tolist(), strict=True)
    )


def add_noise(x0: torch.Tensor, noise: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
    """(1 - sigma) x0 + sigma noise; `sigma` broadcasts over x0."""
    return (1 - sigma) * x0 + sigma * noise


def x0_from_flow(x: torch.Tensor, flow: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
    """X - sigma flow, computed in float64 and cast back to the dtype of x (as the release)."""
    if isinstance(sigma, torch.Tensor):
        sigma = sigma.double()
    return (x.double() - sigma * flow.double()).to(x.dtype)


def flow_from_x0(x: torch.Tensor, x0: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
    """(x - x0) / sigma, computed in float64 and cast back to the dtype of x; sigma > 0."""
    if isinstance(sigma, torch.Tensor):
        sigma = sigma.double()
    return ((x.double() - x0.double()) / sigma).to(x.dtype)


def euler_step(
    x: torch.Tensor,
    flow: torch.Tensor,
    sigma: float | torch.Tensor,
    next_sigma: float | torch.Tensor,
) -> torch.Tensor:
    """Eq. 3: x + flow (next_sigma - sigma)."""
    return x + flow * (next_sigma - sigma)
