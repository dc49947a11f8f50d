"""A small decoder of Wan latents, in place of the VAE: less quality for far less time and memory.

Architecture and weight names of TAEHV's decoder for Wan 2.1 (github.com/madebyollin/taehv
1f14a56, MIT, `taew2_1.pth`): 2-D convolutions on single frames; a memory block also sees its own
input one frame earlier, which is all the time there is. It takes normalised latents and gives
[0, 1]; the first three of its frames belong to no picture and are dropped, so that latent frames
and frames count as the VAE's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hiar.codecs.vae import check_block
from hiar.errors import UsageError
from hiar.weights.checkpoint_fit import check_finite, find_faults, join_faults
from hiar.weights.tensor_files import read_tensors

LATENT_CHANNELS = 16
STAGE_CHANNELS = (256, 128, 64, 64)
STAGE_FRAMES = (1, 2, 2)
"""Frames that each stage makes of one; their product is the VAE's temporal stride."""
NUM_DROPPED = 3
MEMORY_BLOCKS = 3


def conv(channels_in: int, channels_out: int, *, bias: bool = True) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=bias)


class SoftClamp(nn.Module):
    """Bounds latents to (-3, 3), smoothly."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        return 3 * torch.tanh(x / 3)


class MemoryBlock(nn.Module):
    """A residual block on a frame and on its own input one frame earlier."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            conv(2 * channels, channels), nn.ReLU(),
            conv(channels, channels), nn.ReLU(),
            conv(channels, channels),
        )  # fmt: skip

    def forward(self, x: torch.Tensor, past: torch.Tensor) -> torch.Tensor:
        """Frames x [N, C, h, w], each with its `past` of the same shape."""
        out: torch.Tensor = torch.relu(self.conv(torch.cat((x, past), dim=1)) + x)
        return out


class Grow(nn.Module):
    """Makes several frames of each."""

    def __init__(self, channels: int, num_frames: int) -> None:
        super().__init__()
        self.num_frames = num_frames
        self.conv = nn.Conv2d(channels, channels * num_frames, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Frames [N, C, h, w] to [N x num_frames, C, h, w], in time order."""
        grown: torch.Tensor = self.conv(x)
        frames: torch.Tensor = grown.unflatten(1, (self.num_frames, -1)).flatten(0, 1)
        return frames


def build_layers() -> nn.Sequential:
    """The decoder, numbered as in the published weights."""
    first = STAGE_CHANNELS[0]
    layers: list[nn.Module] = [SoftClamp(), conv(LATENT_CHANNELS, first), nn.ReLU()]
    pairs = zip(STAGE_CHANNELS, STAGE_CHANNELS[1:], STAGE_FRAMES, strict=False)
    for channels, following, num_frames in pairs:
        layers += [MemoryBlock(channels) for _ in range(MEMORY_BLOCKS)]
        layers += [
            nn.Upsample(scale_factor=2),
            Grow(channels, num_frames),
            conv(channels, following, bias=False),
        ]
    return nn.Sequential(*layers, nn.ReLU(), conv(STAGE_CHANNELS[-1], 3))


class TinyDecoder(nn.Module):
    """Decodes latents as the VAE does, approximately; see `VideoAutoencoder.decode`."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = build_layers()

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        return next(self.parameters()).device

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents [B, F, C, h, w] to float video [B, 3, 4 (F - 1) + 1, 8 h, 8 w]."""
        return self.stream().decode_block(latents)

    def stream(self) -> TinyStream:
        """A decoder for one video that arrives block by block."""
        return TinyStream(self)


class TinyStream:
    """Decodes one video block by block; the frames equal those of decoding it whole.

    Args:
        model: The decoder; its weights are shared.
    """

    def __init__(self, model: TinyDecoder) -> None:
        self._model = model
        self.reset()

    def reset(self) -> None:
        """Forget the video: the next block begins another."""
        self._last: dict[int, torch.Tensor] = {}
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
        self._shape = check_block(latents, LATENT_CHANNELS, self._shape)
        weight = next(self._model.parameters())
        moved = latents.to(weight.device, weight.dtype)
        # One latent frame at a time: memory does not grow with the block.
        frames = torch.cat([self._decode_frame(z) for z in moved.unbind(dim=1)], dim=1)
        if first:
            frames = frames[:, NUM_DROPPED:]
        return frames.transpose(1, 2).float() * 2 - 1

    def _decode_frame(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents [B, C, h, w] of one latent frame to frames [B, 4, 3, 8 h, 8 w] in [0, 1]."""
        batch = latents.shape[0]
        x = latents  # [B x frames, C, h, w], the frames of a video side by side
        for index, layer in enumerate(self._model.decoder):
            x = (
                layer(x, self._past(index, x, batch))
                if isinstance(layer, MemoryBlock)
                else layer(x)
            )
        frames: torch.Tensor = x.unflatten(0, (batch, -1)).clamp(0, 1)
        return frames

    def _past(self, index: int, x: torch.Tensor, batch: int) -> torch.Tensor:
        """A memory block's input one frame earlier; zero before the first frame."""
        frames = x.unflatten(0, (batch, -1))
        last = self._last.get(index, torch.zeros_like(frames[:, :1]))
        self._last[index] = frames[:, -1:].clone()
        return torch.cat((last, frames[:, :-1]), dim=1).flatten(0, 1)


def load_tiny_decoder(
    path_or_state_dict: str | Path | Mapping[str, Any],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> TinyDecoder:
    """Load the published weights; the encoder's are passed over.

    Args:
        path_or_state_dict: `taew2_1.pth`, its safetensors copy, or a state dict.
        device, dtype: Device and dtype of the decoder.

    Raises:
        UsageError: For a missing, extra, misshapen or non-finite tensor of the decoder, named.
    """
    if isinstance(path_or_state_dict, (str, Path)):
        source, raw = str(path_or_state_dict), read_tensors(Path(path_or_state_dict))
    else:
        source, raw = "the state dict", dict(path_or_state_dict)
    with torch.device("meta"):
        model = TinyDecoder()
    expected = model.state_dict()
    found = {name: value for name, value in raw.items() if not name.startswith("encoder.")}
    faults = find_faults(expected, found)
    if faults:
        raise UsageError(f"{source} is no TAEHV decoder for Wan 2.1: {join_faults(faults)}")
    placed = {}
    for name, value in found.items():
        placed[name] = value.to(device, dtype, copy=True)
        check_finite(name, value, placed[name], source)
    model.load_state_dict(placed, strict=True, assign=True)
    return model.eval().requires_grad_(False)
