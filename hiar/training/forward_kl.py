"""The forward-KL regulariser: the student's single step along a teacher's trajectory (Eq. 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch

from hiar.errors import UsageError
from hiar.sampling.config import NUM_TRAIN_TIMESTEPS
from hiar.sampling.sigmas import x0_from_flow
from hiar.training.losses import TargetKind, forward_kl_loss, forward_kl_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hiar.model.transformer import CausalWan
    from hiar.training.data import TrajectoryBatch

FullAttention = Literal["bidirectional", "block_causal"]
"""Attention of a student that gets a whole video at once, every frame at one noise level."""


@dataclass(frozen=True, kw_only=True)
class ForwardKLConfig:
    """How the student is regressed on the teacher's trajectories.

    Attributes:
        attention: The student's attention in this term: bidirectional (the paper) or
            block_causal (the release, and Table 3's "causal").
        steps: K, the number of first steps of the trajectory that are regressed on.
        weight: Weight of the term beside the DMD loss, lambda in Eq. 11.
        target: `velocity`, the chord's slope (Eq. 10), or `x0`, where the chord ends (the
            release).
    """

    attention: FullAttention = "bidirectional"
    steps: int = 1
    weight: float = 0.1
    target: TargetKind = "velocity"

    def __post_init__(self) -> None:
        for name, choices in (("attention", FullAttention), ("target", TargetKind)):
            if getattr(self, name) not in get_args(choices):
                raise UsageError(
                    f"forward-KL {name} {getattr(self, name)!r} is unknown: use one of "
                    f"{', '.join(get_args(choices))}"
                )
        if self.steps < 1:
            raise UsageError(f"forward-KL steps {self.steps}: at least the first counts")
        if not self.weight > 0:
            raise UsageError(f"forward-KL weight {self.weight} must be above 0; leave the term out")


def trajectory_loss(
    student: CausalWan,
    batch: TrajectoryBatch,
    chosen: Sequence[int],
    config: ForwardKLConfig,
    *,
    frames_per_block: int,
) -> torch.Tensor:
    """Mean squared error of one step of the student on each of some trajectories.

    The timestep is that of the trajectory's own point, 1000 sigma, wherever the student's steps
    lie: the latents are at that level.

    Args:
        student: The student, with gradients.
        batch: Latents [B, K + 1, F, C, H, W] with their levels [K + 1], on the student's device.
        chosen: Index of the point each video starts from, below K.
        config: Attention and target.
        frames_per_block: Latent frames of a block (block_causal only).

    Returns:
        A scalar with a graph.
    """
    device = batch.latents.device
    videos = torch.arange(len(batch.latents), device=device)
    starts = torch.tensor(chosen, device=device)
    x_a, x_b = batch.latents[videos, starts], batch.latents[videos, starts + 1]
    sigmas = batch.sigmas.to(device)
    sigma_a, sigma_b = sigmas[starts], sigmas[starts + 1]
    flow = student(
        x_a, sigma_a * NUM_TRAIN_TIMESTEPS, batch.text, config.attention,
        frames_per_block=frames_per_block,
    )  # fmt: skip
    prediction = flow.to(x_a.dtype)
    if config.target == "x0":
        prediction = x0_from_flow(x_a, flow, sigma_a[:, None, None, None, None])
    target = forward_kl_target(x_a, x_b, sigma_a, sigma_b, config.target)
    return forward_kl_loss(prediction, target)
