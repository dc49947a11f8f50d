"""Sampling the teacher's ODE: Euler steps with guidance; a few points of the path are kept.

The whole video runs at one noise level with bidirectional attention, as the teacher was trained.
The HiAR release's pairs are of 48 steps, shift 8, guidance 6, points 0, 12, 24, 36 and the last;
the paper (Sec. 3.3) wants the points at the student's own levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from hiar.errors import UsageError
from hiar.sampling.config import NUM_TRAIN_TIMESTEPS
from hiar.sampling.sigmas import euler_step, shift_sigma

if TYPE_CHECKING:
    from collections.abc import Callable

    from hiar.model.transformer import CausalWan


@dataclass(frozen=True, kw_only=True)
class OdeConfig:
    """How the teacher's ODE is sampled.

    Attributes:
        steps: Euler steps from pure noise to clean.
        shift: Shift of the noise scale; with the student's shift and a multiple of its steps, the
            saved points lie at the student's own levels.
        guidance: Scale s of uncond + s (cond - uncond); 1 is no guidance.
        saved: Indices of the points kept among the steps + 1 of the path, rising; the last one
            may be -1.
    """

    steps: int = 48
    shift: float = 8.0
    guidance: float = 6.0
    saved: tuple[int, ...] = (0, 12, 24, 36, -1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "saved", tuple(self.saved))
        if self.steps < 1 or not self.shift > 0 or not self.guidance >= 0:
            raise UsageError(
                f"steps {self.steps} must be at least 1, shift {self.shift} above 0 and guidance "
                f"{self.guidance} at least 0"
            )
        places = self.saved_points
        rising = all(a < b for a, b in pairwise(places))
        if len(places) < 2 or not rising or places[0] < 0 or places[-1] != self.steps:
            raise UsageError(
                f"saved {self.saved} must rise within 0..{self.steps} and end at the clean point: "
                f"{self.steps} or -1"
            )

    @property
    def saved_points(self) -> tuple[int, ...]:
        """The saved indices, -1 resolved."""
        return tuple(i + self.steps + 1 if i < 0 else i for i in self.saved)

    @property
    def saved_sigmas(self) -> torch.Tensor:
        """Noise levels of the saved points, float32 [K + 1], from 1 (or below) to 0."""
        return ode_sigmas(self.steps, self.shift)[list(self.saved_points)]


ODE_PRESETS = {
    # Shift 8: the points lie at sigma 1, .96, .889, .727, 0, beside the student's own levels.
    "release": OdeConfig(),
    # The student's shift and a multiple of its 4 steps, so that the points are its levels 1, .9375,
    # .833, .625, 0, as Sec. 3.3 asks; the 50 steps of Sec. 4.1 divide by neither.
    "paper": OdeConfig(shift=5.0),
}


def ode_sigmas(steps: int, shift: float) -> torch.Tensor:
    """Levels of a path of `steps` Euler steps: float32 [steps + 1], from 1 to 0."""
    return shift_sigma(torch.linspace(1, 0, steps + 1, dtype=torch.float64), shift).float()


def guided_flow(
    model: CausalWan,
    latents: torch.Tensor,
    timesteps: torch.Tensor,
    text: torch.Tensor,
    empty_text: torch.Tensor,
    guidance: float,
) -> torch.Tensor:
    """Bidirectional flow of a whole video: uncond + guidance (cond - uncond).

    Args:
        model: The teacher.
        latents: Latents with noise [B, F, C, H, W].
        timesteps: Timesteps [B], in [0, 1000].
        text: Text embeddings [B, text, text_dim].
        empty_text: Embedding of the negative prompt [1, text, text_dim].
        guidance: Guidance scale; 1 needs one pass instead of two.

    Returns:
        [B, F, C, H, W].
    """
    conditional: torch.Tensor = model(latents, timesteps, text)
    if guidance == 1:
        return conditional
    unconditional: torch.Tensor = model(latents, timesteps, empty_text.expand(len(text), -1, -1))
    return unconditional + guidance * (conditional - unconditional)


@torch.no_grad()
def sample_trajectory(
    model: CausalWan,
    noise: torch.Tensor,
    text: torch.Tensor,
    empty_text: torch.Tensor,
    config: OdeConfig,
    *,
    on_step: Callable[[], object] = lambda: None,
) -> torch.Tensor:
    """Integrate the teacher's ODE from noise to a clean video.

    Args:
        model: The teacher.
        noise: Initial noise [B, F, C, H, W], float32, on the model's device.
        text: Text embeddings [B, text, text_dim].
        empty_text: Embedding of the negative prompt [1, text, text_dim].
        config: Steps, guidance and the points to keep.
        on_step: Called after each Euler step.

    Returns:
        The saved points [B, K + 1, F, C, H, W], float32.

    Raises:
        UsageError: If a value of the path is not finite.
    """
    sigmas = ode_sigmas(config.steps, config.shift).tolist()
    kept = set(config.saved_points)
    x, points = noise, [noise] if 0 in kept else []
    for step, (sigma, next_sigma) in enumerate(pairwise(sigmas)):
        timesteps = torch.full((len(x),), sigma * NUM_TRAIN_TIMESTEPS, device=x.device)
        flow = guided_flow(model, x, timesteps, text, empty_text, config.guidance)
        x = euler_step(x, flow.float(), sigma, next_sigma)
        if step + 1 in kept:
            points.append(x)
        on_step()
    trajectory = torch.stack(points, dim=1)
    if not trajectory.isfinite().all():
        raise UsageError(
            f"the teacher's path is not finite: guidance {config.guidance} or the number type does "
            "not suit these weights; use a smaller guidance or float32"
        )
    return trajectory
