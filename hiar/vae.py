"""Latents to pictures and back, through diffusers' `AutoencoderKLWan`.

Latents outside this module are normalised (zero mean, unit variance a channel, with the means and
deviations that the VAE's config holds) and ordered [B, F, C, H, W]; pictures are uint8 RGB.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hiar.geometry import SPATIAL_STRIDE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class VideoAutoencoder:
    """A frozen video VAE.

    Args:
        vae: A diffusers `AutoencoderKLWan`.
    """

    def __init__(self, vae: Any) -> None:
        self.vae = vae.eval().requires_grad_(False)
        shape = (1, -1, 1, 1, 1)
        self._mean = torch.tensor(vae.config.latents_mean, dtype=vae.dtype).view(shape)
        self._std = torch.tensor(vae.config.latents_std, dtype=vae.dtype).view(shape)

    @property
    def latent_channels(self) -> int:
        """Channels of a latent frame."""
        return int(self.vae.config.z_dim)

    @torch.no_grad()
    def encode(self, video: torch.Tensor) -> torch.Tensor:
        """Encode float video [B, 3, T, H, W] in [-1, 1] to latents [B, F, C, H / 8, W / 8]."""
        mean = self.vae.encode(video.to(self.vae.dtype)).latent_dist.mean
        normalised: torch.Tensor = (mean - self._mean) / self._std
        return normalised.transpose(1, 2)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents [B, F, C, h, w] to float video [B, 3, 4 (F - 1) + 1, 8 h, 8 w]."""
        z = latents.transpose(1, 2).to(self.vae.dtype) * self._std + self._mean
        decoded: torch.Tensor = self.vae.decode(z).sample
        return decoded

    def latent_size(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Rows and columns of a latent frame."""
        return height_px // SPATIAL_STRIDE, width_px // SPATIAL_STRIDE


def to_uint8(frame: torch.Tensor) -> NDArray[np.uint8]:
    """A picture [3, H, W] in [-1, 1] as uint8 RGB (H, W, 3), rounded to the nearest level."""
    scaled = (frame.float().clamp(-1, 1) + 1) * 127.5
    pixels: NDArray[np.uint8] = scaled.round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return pixels


def load_autoencoder(folder: Path, dtype: torch.dtype = torch.float32) -> VideoAutoencoder:
    """Load a VAE from a folder of config.json and safetensors."""
    from diffusers import AutoencoderKLWan  # noqa: PLC0415  (seconds to import)

    vae = AutoencoderKLWan.from_pretrained(folder, torch_dtype=dtype, low_cpu_mem_usage=False)
    return VideoAutoencoder(vae)
