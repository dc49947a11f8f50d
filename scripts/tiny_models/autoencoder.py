"""Train a small video autoencoder on clips drawn one by one.

Pictures first, clips after (as Wan's own VAE was trained); clips of several lengths, since the
decoder carries features from chunk to chunk and must not wander on long videos. The loss is mostly
L2: a shape covers a tenth of a picture, and under L1 the median, which is background, is a rest
point. Latents are the posterior's mean plus a fixed small noise, with a light penalty on their
size: a learned variance collapses to the prior at this size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from hiar.codecs.vae import from_uint8
from hiar.training.optimise import backward_and_step, warmup_cosine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class AutoencoderTrainConfig:
    """Settings of one autoencoder training run; clip_shapes are (batch size, frames) in turn."""

    picture_steps: int = 2000
    picture_batch_size: int = 16
    clip_steps: int = 1500
    clip_shapes: tuple[tuple[int, int], ...] = ((4, 9), (2, 17), (2, 17), (1, 33))
    learning_rate: float = 3e-3
    warmup_steps: int = 50
    square_weight: float = 4.0
    absolute_weight: float = 0.2
    edge_weight: float = 0.3
    latent_noise: float = 0.1
    latent_weight: float = 1e-4
    clip_norm: float = 1.0

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.picture_steps + self.clip_steps


def clips_to_tensor(clips: list[NDArray[np.uint8]]) -> torch.Tensor:
    """Stack uint8 RGB clips (T, H, W, 3) into float32 [B, 3, T, H, W] in [-1, 1]."""
    return torch.cat([from_uint8(clip) for clip in clips])


@torch.no_grad()
def inflate_from_pictures(vae: Any) -> None:
    """Start as a picture autoencoder that sees each frame alone and repeats it in time.

    Temporal weights on earlier frames are zeroed, so what is learned on pictures holds on clips at
    once. The temporal downsampler passes the newest frame on, and the upsampler repeats it. Without
    this the random weights on earlier frames, which no picture trains, would undo the training on
    pictures with the first clip.

    Args:
        vae: A diffusers `AutoencoderKLWan` with fresh weights.
    """
    for name, module in vae.named_modules():
        if not isinstance(module, torch.nn.Conv3d) or module.kernel_size[0] != 3:
            continue
        module.weight[:, :, :-1] = 0
        if name.endswith("time_conv"):
            repeats = module.out_channels // module.in_channels
            identity = torch.eye(module.in_channels).repeat(repeats, 1)
            module.weight[:, :, -1] = identity[:, :, None, None]
            if module.bias is not None:
                module.bias.zero_()


def train_autoencoder(
    vae: Any,
    draw_clip: Callable[[int], NDArray[np.uint8]],
    config: AutoencoderTrainConfig,
) -> Iterator[tuple[int, float]]:
    """Train in place, yielding (step, loss) after every optimiser step.

    Args:
        vae: A diffusers `AutoencoderKLWan` in float32.
        draw_clip: Given a number of frames T, returns a fresh uint8 RGB clip (T, H, W, 3).
        config: Settings of the run.

    Yields:
        Step index and loss.
    """
    optimiser = torch.optim.AdamW(
        vae.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4
    )
    for step in range(config.steps):
        if step < config.picture_steps:
            batch_size, num_frames = config.picture_batch_size, 1
        else:
            batch_size, num_frames = config.clip_shapes[step % len(config.clip_shapes)]
        video = clips_to_tensor([draw_clip(num_frames) for _ in range(batch_size)])
        mean = vae.encode(video).latent_dist.mean
        decoded = vae.decode(mean + config.latent_noise * torch.randn_like(mean)).sample
        loss = (
            config.square_weight * functional.mse_loss(decoded, video)
            + config.absolute_weight * functional.l1_loss(decoded, video)
            + config.edge_weight * _edge_loss(decoded, video)
            + config.latent_weight * mean.square().mean()
        )
        rate = config.learning_rate * warmup_cosine(step, config.steps, config.warmup_steps)
        backward_and_step(optimiser, loss, learning_rate=rate, clip_norm=config.clip_norm)
        yield step, loss.item()


def _edge_loss(decoded: torch.Tensor, video: torch.Tensor) -> torch.Tensor:
    difference = decoded - video
    return difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()
