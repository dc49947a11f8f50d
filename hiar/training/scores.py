"""Predictions of the bidirectional score networks on the student's videos with noise added.

Two noise tables meet here, as in the release: noise is added by the student's, at shift 5, while
teacher and critic turn flow into x0 by a table of their own, at shift 8. Both are looked up at the
nearest entry, and an entry is its timestep over 1000, so the two differ by rounding alone.

Source: HiAR release (2026-06-19), model/dmd.py and utils/wan_wrapper.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hiar.sampling.config import NUM_TRAIN_TIMESTEPS
from hiar.sampling.sigmas import add_noise, flow_from_x0, shift_sigma, sigma_at, x0_from_flow

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan

NOISE_SHIFT = 5.0
"""Shift of the timesteps drawn and of the table noise is added by (configs/hiar.yaml)."""
SCORE_SHIFT = 8.0
"""Shift of the teacher's and the critic's own table (the wrapper's default)."""
LOWEST_TIMESTEP, HIGHEST_TIMESTEP = 20.0, 980.0
"""2 % and 98 % of 1000 (model/dmd.py)."""


def score_timesteps(uniform: torch.Tensor, *, shift: float = NOISE_SHIFT) -> torch.Tensor:
    """Timesteps at which the scores are compared.

    Args:
        uniform: Whole numbers, uniform in [0, 1000).
        shift: Shift of the noise scale.

    Returns:
        float32, the shape of `uniform`, in [20, 980]; not snapped to a table.
    """
    shifted = shift_sigma(uniform / NUM_TRAIN_TIMESTEPS, shift) * NUM_TRAIN_TIMESTEPS
    return shifted.clamp(LOWEST_TIMESTEP, HIGHEST_TIMESTEP)


def noise_for_score(
    x0: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor, *, shift: float = NOISE_SHIFT
) -> torch.Tensor:
    """Videos [B, F, C, H, W] with noise added at their timesteps [B]."""
    return add_noise(x0, noise, _levels(timesteps, shift))


def predict_x0(
    model: CausalWan, noised: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor
) -> torch.Tensor:
    """A score network's x0 of noised videos, bidirectional.

    Args:
        model: Teacher or critic.
        noised: Latents with noise [B, F, C, H, W].
        timesteps: Timesteps [B], in [0, 1000].
        text: Text embeddings [B, text, text_dim].

    Returns:
        [B, F, C, H, W], the dtype of `noised`.
    """
    return x0_from_flow(noised, model(noised, timesteps, text), _levels(timesteps, SCORE_SHIFT))


def predict_guided_x0(
    model: CausalWan,
    noised: torch.Tensor,
    timesteps: torch.Tensor,
    text: torch.Tensor,
    empty_text: torch.Tensor,
    guidance: float,
) -> torch.Tensor:
    """The teacher's x0 with classifier-free guidance: uncond + guidance (cond - uncond).

    Args:
        model, noised, timesteps, text: See `predict_x0`.
        empty_text: Embedding of the negative prompt [1, text, text_dim].
        guidance: Guidance scale; 1 is none. The release's 3.0 multiplies what is added to the
            conditional prediction, so it is 4 here.

    Returns:
        [B, F, C, H, W].
    """
    conditional = predict_x0(model, noised, timesteps, text)
    if guidance == 1:
        return conditional
    empty = empty_text.expand(len(text), -1, -1)
    unconditional = predict_x0(model, noised, timesteps, empty)
    return conditional + (guidance - 1) * (conditional - unconditional)


def predict_flow(
    model: CausalWan,
    noised: torch.Tensor,
    timesteps: torch.Tensor,
    text: torch.Tensor,
    *,
    shift: float = NOISE_SHIFT,
) -> torch.Tensor:
    """The critic's flow as its loss sees it: through x0 by its own table, back by the student's.

    It is the network's output times sigma_8(t) / sigma_5(t), which is not quite 1.
    """
    x0 = predict_x0(model, noised, timesteps, text)
    return flow_from_x0(noised, x0, _levels(timesteps, shift))


def _levels(timesteps: torch.Tensor, shift: float) -> torch.Tensor:
    """Sigma of each video [B, 1, 1, 1, 1]."""
    return sigma_at(timesteps, shift)[:, None, None, None, None]
