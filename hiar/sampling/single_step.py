"""One denoising step of a whole video from pure noise, under either attention: Fig. 5.

The causal pass is block-causal over the same noise, with every frame at sigma 1, as in the
forward-KL term of Table 3's "causal" row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from hiar.sampling.config import NUM_TRAIN_TIMESTEPS
from hiar.sampling.sigmas import x0_from_flow

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan

ATTENTIONS: dict[str, Literal["bidirectional", "block_causal"]] = {
    "bidirectional": "bidirectional",
    "causal": "block_causal",
}


@torch.no_grad()
def denoise_once(
    model: CausalWan,
    noise: torch.Tensor,
    text: torch.Tensor,
    attention: Literal["bidirectional", "block_causal"],
    *,
    frames_per_block: int = 3,
) -> torch.Tensor:
    """Predict the clean video from noise in a single pass.

    Args:
        model: The network.
        noise: [B, F, C, H, W], unit normal.
        text: [B, text, text_dim].
        attention: Frames that each frame sees.
        frames_per_block: Latent frames of a block (`block_causal` only).

    Returns:
        x0 [B, F, C, H, W].
    """
    timesteps = torch.full((len(noise),), float(NUM_TRAIN_TIMESTEPS), device=noise.device)
    flow = model(noise, timesteps, text, attention, frames_per_block=frames_per_block)
    return x0_from_flow(noise, flow.to(noise.dtype), 1.0)
