"""Latents to pictures and back, through diffusers' `AutoencoderKLWan`.

Latents outside this module are normalised (zero mean, unit variance a channel, with the means and
deviations that the VAE's config holds) and ordered [B, F, C, H, W]; pictures are uint8 RGB.

The VAE stays in float32 where the release runs it in bfloat16: near 1 a bfloat16 has steps of
1 / 256, half a grey level of 8-bit video, before any layer adds its own error; and what drifts
slowly in long videos is a matter of few grey levels.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from einops import rearrange
from torch import nn

from hiar.errors import UsageError
from hiar.model.geometry import SPATIAL_STRIDE, TEMPORAL_STRIDE
from hiar.runtime.notices import hush_notices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class BlockDecoder(Protocol):
    """Turns the latents of one video into frames, block after block, in constant memory."""

    def decode_block(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode the next latent frames.

        Args:
            latents: [B, f, C, h, w], f >= 1; B, C, h, w as in the first block.

        Returns:
            Float frames in [-1, 1], [B, 3, T, 8 h, 8 w]; T = 4 f, or 4 (f - 1) + 1 at the start.
        """
        ...

    def reset(self) -> None:
        """Forget the video: the next block begins another."""
        ...


class LatentDecoder(Protocol):
    """A decoder of whole videos that can also stream: the VAE, or a cheaper stand-in."""

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents [B, F, C, h, w] to float video [B, 3, 4 (F - 1) + 1, 8 h, 8 w]."""
        ...

    def stream(self) -> BlockDecoder:
        """A decoder for one video that arrives block by block."""
        ...


class VideoAutoencoder:
    """A frozen video VAE.

    Args:
        vae: A diffusers `AutoencoderKLWan`.
    """

    def __init__(self, vae: Any) -> None:
        self.vae = vae.eval().requires_grad_(False)
        shape = (1, -1, 1, 1, 1)
        self._mean = torch.tensor(vae.config.latents_mean, dtype=torch.float32).view(shape)
        self._std = torch.tensor(vae.config.latents_std, dtype=torch.float32).view(shape)

    @property
    def latent_channels(self) -> int:
        """Channels of a latent frame."""
        return int(self.vae.config.z_dim)

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        device: torch.device = self.vae.device
        return device

    def to(self, device: torch.device | str) -> VideoAutoencoder:
        """Move the weights."""
        self.vae.to(device)
        return self

    @torch.no_grad()
    def encode(self, video: torch.Tensor) -> torch.Tensor:
        """Encode video to the mean of its latents, as the release does for image-to-video.

        Args:
            video: Float frames in [-1, 1], [B, 3, T, H, W]; T = 4 k + 1, H and W multiples of 8.

        Returns:
            Latents [B, k + 1, C, H / 8, W / 8], float32.

        Raises:
            UsageError: For other sizes: the VAE itself would drop the frames that are left over.
        """
        check_encodable(video)
        mean = self.vae.encode(video.to(self.device, self.vae.dtype)).latent_dist.mean.float()
        normalised: torch.Tensor = (mean - self._mean.to(mean.device)) / self._std.to(mean.device)
        return normalised.transpose(1, 2)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents [B, F, C, h, w] to float video [B, 3, 4 (F - 1) + 1, 8 h, 8 w]."""
        return self.stream().decode_block(latents)

    def stream(self) -> StreamingDecoder:
        """A decoder for one video that arrives block by block."""
        return StreamingDecoder(self)

    def denormalise(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents [B, F, C, h, w] as the VAE takes them: [B, C, F, h, w], not normalised."""
        z = latents.transpose(1, 2).to(self.device, torch.float32)
        raw: torch.Tensor = z * self._std.to(self.device) + self._mean.to(self.device)
        return raw.to(self.vae.dtype)

    def latent_size(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Rows and columns of a latent frame."""
        return height_px // SPATIAL_STRIDE, width_px // SPATIAL_STRIDE


class StreamingDecoder:
    """Decodes one video block by block; the frames equal those of decoding it whole.

    diffusers' decoder runs a latent frame at a time and keeps, for each causal convolution, the
    two input frames before it. Its own `decode` forgets them at the end of every call; here the
    list that holds them belongs to the stream, so several streams may share one VAE. What this
    relies on in diffusers: `post_quant_conv`, and `decoder(x, feat_cache=, feat_idx=,
    first_chunk=)` with one list entry a convolution (tests/hiar/codecs/test_vae_stream.py).

    Args:
        autoencoder: The VAE; its weights are shared.
    """

    def __init__(self, autoencoder: VideoAutoencoder) -> None:
        self._autoencoder = autoencoder
        self.reset()

    def reset(self) -> None:
        """Forget the video: the next block begins another."""
        convolutions = (m for m in self._autoencoder.vae.decoder.modules())
        num_slots = sum(isinstance(module, nn.Conv3d) for module in convolutions)
        self._features: list[Any] = [None] * num_slots
        self._shape: torch.Size | None = None

    @torch.no_grad()
    def decode_block(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode the next latent frames.

        Args:
            latents: [B, f, C, h, w], f >= 1; B, C, h, w as in the first block.

        Returns:
            Float frames in [-1, 1], [B, 3, T, 8 h, 8 w]; T = 4 f, or 4 (f - 1) + 1 at the start.

        Raises:
            UsageError: For a block whose shape is not that of the blocks before it.
        """
        first = self._shape is None
        self._shape = check_block(latents, self._autoencoder.latent_channels, self._shape)
        vae = self._autoencoder.vae
        groups = []
        # Frame by frame throughout, so that frames do not depend on how a video is cut to blocks.
        for index, z in enumerate(self._autoencoder.denormalise(latents).split(1, dim=2)):
            groups.append(
                vae.decoder(
                    vae.post_quant_conv(z),
                    feat_cache=self._features,
                    feat_idx=[0],
                    first_chunk=first and index == 0,
                )
            )
        frames = torch.cat(groups, dim=2)
        patch = vae.config.patch_size
        if patch is not None:  # the pixels of a patch came out as channels, columns outermost
            frames = rearrange(frames, "b (c q p) t h w -> b c t (h p) (w q)", p=patch, q=patch)
        return frames.clamp(-1, 1)


def check_block(latents: torch.Tensor, channels: int, shape: torch.Size | None) -> torch.Size:
    """Raise unless latents [B, f, C, h, w] can follow a block of `shape`; returns their shape."""
    if latents.ndim != 5 or latents.shape[1] < 1 or latents.shape[2] != channels:
        raise UsageError(
            f"latents have shape {tuple(latents.shape)}: they must be [B, F >= 1, {channels}, h, w]"
        )
    found = latents.shape
    if shape is not None and (found[0], *found[2:]) != (shape[0], *shape[2:]):
        raise UsageError(
            f"a block of shape {tuple(found)} cannot follow one of {tuple(shape)}: only the number "
            "of frames may change within a video; call reset() for another"
        )
    return found


def check_encodable(video: torch.Tensor) -> None:
    """Raise unless video [B, 3, T, H, W] fits the VAE's strides."""
    if video.ndim != 5 or video.shape[1] != 3:
        raise UsageError(f"video has shape {tuple(video.shape)}: it must be [B, 3, T, H, W]")
    frames, height, width = video.shape[2:]
    if (frames - 1) % TEMPORAL_STRIDE or frames < 1:
        shorter = (frames - 1) // TEMPORAL_STRIDE * TEMPORAL_STRIDE + 1
        legal = f"{shorter} or {shorter + TEMPORAL_STRIDE}" if shorter > 0 else "1"
        raise UsageError(f"{frames} frames do not encode: give 4 k + 1 of them, {legal}")
    if height % SPATIAL_STRIDE or width % SPATIAL_STRIDE or not height or not width:
        raise UsageError(
            f"frames of {width} x {height} px do not encode: both must be multiples of "
            f"{SPATIAL_STRIDE}"
        )


def to_uint8(frame: torch.Tensor) -> NDArray[np.uint8]:
    """A picture [3, H, W] in [-1, 1] as uint8 RGB (H, W, 3), rounded to the nearest level."""
    scaled = (frame.float().clamp(-1, 1) + 1) * 127.5
    pixels: NDArray[np.uint8] = scaled.round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return pixels


def from_uint8(frames: NDArray[np.uint8]) -> torch.Tensor:
    """Pictures, uint8 RGB (T, H, W, 3), as float video [1, 3, T, H, W] in [-1, 1]."""
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != "uint8":
        raise UsageError(
            f"frames are {frames.dtype} of shape {frames.shape}: they must be uint8 (T, H, W, 3)"
        )
    return torch.from_numpy(frames.copy()).permute(3, 0, 1, 2)[None].float() / 127.5 - 1.0


def load_autoencoder(folder: Path, dtype: torch.dtype = torch.float32) -> VideoAutoencoder:
    """Load a VAE from a folder of config.json and safetensors; nothing is downloaded.

    Raises:
        UsageError: If the folder holds no config.
    """
    if not (folder / "config.json").is_file():
        raise UsageError(f"no VAE at {folder}: it needs config.json and its .safetensors file")
    hush_notices()
    from diffusers import AutoencoderKLWan  # noqa: PLC0415  (seconds to import)

    vae = AutoencoderKLWan.from_pretrained(
        folder, torch_dtype=dtype, low_cpu_mem_usage=False, local_files_only=True
    )
    return VideoAutoencoder(vae)
