"""Latents to pictures and back, with the weights of diffusers' `AutoencoderKLWan`.

Pictures are decoded by `hiar.codecs.wan_decoder` and encoded by diffusers.

Latents outside this module are normalised (zero mean, unit variance a channel, with the means and
deviations that the VAE's config holds) and ordered [B, F, C, H, W]; pictures are uint8 RGB.

The VAE stays in float32 where the release runs it in bfloat16: near 1 a bfloat16 has steps of
1 / 256, half a grey level of 8-bit video, before any layer adds its own error; and what drifts
slowly in long videos is a matter of few grey levels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

from hiar.codecs.wan_decoder.layers import History
from hiar.codecs.wan_decoder.network import DecoderSizes, build_decoder
from hiar.errors import UsageError
from hiar.model.geometry import SPATIAL_STRIDE, TEMPORAL_STRIDE
from hiar.runtime.notices import hush_notices
from hiar.weights.tensor_files import read_tensors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"
"""diffusers' name of a file that holds all weights of a model."""


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
        vae: A diffusers `AutoencoderKLWan`, or a `StoredVae`.
    """

    def __init__(self, vae: Any) -> None:
        self.vae: Any = vae.eval().requires_grad_(False) if isinstance(vae, nn.Module) else vae
        self.decoder = build_decoder(
            vae.config, vae.state_dict(), getattr(vae, "source", "the VAE"), vae.dtype
        )
        shape = (1, -1, 1, 1, 1)
        self._mean = torch.tensor(vae.config["latents_mean"], dtype=torch.float32).view(shape)
        self._std = torch.tensor(vae.config["latents_std"], dtype=torch.float32).view(shape)

    @property
    def latent_channels(self) -> int:
        """Channels of a latent frame."""
        return int(self.vae.config["z_dim"])

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.decoder.device

    def to(self, device: torch.device | str) -> VideoAutoencoder:
        """Move the weights."""
        self.vae.to(device)
        self.decoder.to(device)
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
        mean = self.vae.encode(video.to(self.device, self.decoder.dtype)).latent_dist.mean.float()
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
        return raw.to(self.decoder.dtype)

    def latent_size(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Rows and columns of a latent frame."""
        return height_px // SPATIAL_STRIDE, width_px // SPATIAL_STRIDE


class StreamingDecoder:
    """Decodes videos block by block.

    Each latent frame of each video is decoded alone: the frames of a video do not depend, in a
    single bit, on the videos beside it or on how it is cut into blocks. Several streams may share
    one VAE.

    Args:
        autoencoder: The VAE; its weights are shared.
    """

    def __init__(self, autoencoder: VideoAutoencoder) -> None:
        self._autoencoder = autoencoder
        self.reset()

    def reset(self) -> None:
        """Forget the videos: the next block begins others."""
        self._histories: list[History] = []
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
        channels = self._autoencoder.latent_channels
        self._shape = check_block(latents, channels, self._shape)
        if not self._histories:
            self._histories = [History() for _ in latents]
        videos = zip(self._autoencoder.denormalise(latents), self._histories, strict=True)
        return torch.stack([self._decode_video(z, history) for z, history in videos])

    def _decode_video(self, latents: torch.Tensor, history: History) -> torch.Tensor:
        """Latents [C, f, h, w] of one video to its frames [3, T, 8 h, 8 w]."""
        decoder = self._autoencoder.decoder
        return torch.cat([decoder(frame, history) for frame in latents.unbind(dim=1)], dim=1)


@contextmanager
def named_memory_error() -> Iterator[None]:
    """Turn the error of a GPU that decoding fills into one line that says what to do."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UsageError(
            "the GPU's memory is too small to decode beside the transformer: take --decoder "
            "tiny-decoder, a smaller --window or --batch-size, or another GPU for decoding"
        ) from error


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


class StoredVae:
    """An `AutoencoderKLWan` in a folder, as far as `VideoAutoencoder` needs one.

    Only encoding needs diffusers, which takes seconds to import: it is loaded with the first video
    that is to be encoded.

    Args:
        folder: Holds config.json and the safetensors file.
        dtype: Number type of the weights.

    Attributes:
        config: What config.json holds.
        source: The folder's name, for messages.

    Raises:
        UsageError: If the folder holds no config, or none that can be read.
    """

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        self.source = str(folder)
        self.config = read_config(folder)
        self.dtype = dtype
        self._folder = folder
        self._device: torch.device | str = "cpu"
        self._loaded: Any = None

    def state_dict(self) -> dict[str, Any]:
        """The tensors of the file."""
        file = self._folder / WEIGHTS_NAME
        return read_tensors(file if file.is_file() else self._folder)

    def to(self, device: torch.device | str) -> StoredVae:
        """Move the weights of what encodes."""
        self._device = device
        if self._loaded is not None:
            self._loaded.to(device)
        return self

    def encode(self, video: torch.Tensor) -> Any:
        """Encode as diffusers does: video [B, 3, T, H, W] in [-1, 1]."""
        if self._loaded is None:
            hush_notices()
            from diffusers import AutoencoderKLWan  # noqa: PLC0415  (seconds to import)

            vae = AutoencoderKLWan.from_pretrained(
                self._folder, torch_dtype=self.dtype, low_cpu_mem_usage=False,
                local_files_only=True,
            )  # fmt: skip
            self._loaded = vae.eval().requires_grad_(False).to(self._device)
        return self._loaded.encode(video)


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a VAE's folder.

    Raises:
        UsageError: If there is none, or it is no `AutoencoderKLWan`'s.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise UsageError(f"no VAE at {folder}: it needs config.json and its .safetensors file")
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        DecoderSizes.from_config(config)
        _ = config["latents_mean"], config["latents_std"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no config of a Wan VAE: {error!r}") from None
    return config


def load_autoencoder(folder: Path, dtype: torch.dtype = torch.float32) -> VideoAutoencoder:
    """Load a VAE from a folder of config.json and safetensors; nothing is downloaded.

    Raises:
        UsageError: If the folder holds no config, or weights that do not fit it.
    """
    return VideoAutoencoder(StoredVae(folder, dtype))
