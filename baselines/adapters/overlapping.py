"""Long videos from overlapping windows, CausVid's method past its 21 latent frames.

Each window is sampled as a video of its own, from rotary position 0. Its context begins with clean
latents: one decoded frame of the previous window, encoded again as a first frame, and that window's
last latent frames. Frames that two windows share are taken from the later one.

Source: CausVid ca21150, minimal_inference/longvideo_autoregressive_inference.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from hiar.model.geometry import num_frames
from hiar.sampling.noise import INITIAL_STEP, block_noise
from hiar.sampling.sampler import sample_latents

if TYPE_CHECKING:
    from hiar.pipeline import HiARPipeline
    from hiar.sampling.config import SamplerConfig


def overlapping_windows(
    pipeline: HiARPipeline,
    prompt: str,
    config: SamplerConfig,
    *,
    num_windows: int,
    overlap: int,
    seed: int,
    prompt_index: int,
) -> Iterator[torch.Tensor]:
    """Make a video window by window.

    Args:
        pipeline: The model, with the VAE's encoder.
        prompt: Text of the video.
        config: Sampler settings; a window has `config.window` latent frames.
        num_windows: Number of windows.
        overlap: Number of latent frames that two windows share; whole blocks.
        seed: Seed of the noise, which differs in every window.
        prompt_index: Position of the prompt in its list, also part of the noise's key.

    Yields:
        Float video [1, 3, T, H, W] in [-1, 1]: of each window, the last one included, all frames
        but the last `4 (overlap - 1) + 1`.
    """
    assert config.window is not None
    text = pipeline.text_encoder.encode([prompt])
    size, shared = config.frames_per_block, num_frames(overlap)
    carried: torch.Tensor | None = None
    first_block = 0
    for _ in range(num_windows):
        given = 0 if carried is None else overlap
        blocks = (config.window - given) // size
        latents = _sample_window(
            pipeline, text, config, first_block, blocks, seed, prompt_index, carried
        )
        first_block += blocks
        video = pipeline.autoencoder.decode(latents)
        cut = video.shape[2] - shared
        yield video[:, :, :cut]
        again = pipeline.autoencoder.encode(video[:, :, cut : cut + 1])
        carried = torch.cat([again.to(latents), latents[:, latents.shape[1] - overlap + 1 :]], 1)


def _sample_window(
    pipeline: HiARPipeline,
    text: torch.Tensor,
    config: SamplerConfig,
    first_block: int,
    blocks: int,
    seed: int,
    prompt_index: int,
    carried: torch.Tensor | None,
) -> torch.Tensor:
    """Samples latents [1, window, C, H, W]; block numbers, which key the noise, never repeat."""
    device = pipeline.transformer.device
    block_shape = (config.frames_per_block, *pipeline.latent_shape)

    def draw(step: int, block: int) -> torch.Tensor:
        return block_noise(
            block_shape, seed=seed, prompt_indices=[prompt_index], block=first_block + block,
            step=step,
        ).to(device)  # fmt: skip

    noise = torch.cat([draw(INITIAL_STEP, block) for block in range(blocks)], dim=1)
    return sample_latents(
        pipeline.transformer, text, noise, config,
        renoise=lambda step, block: draw(step + 1, block), initial_latents=carried,
    )  # fmt: skip
