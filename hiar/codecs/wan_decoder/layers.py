"""The layers of Wan's decoder on frames [T, H, W, C] of one video, named as in its weights."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from hiar.codecs.wan_decoder.kernels import convolve, normalise
from hiar.codecs.wan_decoder.winograd import (
    DEPTH,
    MixedKernels,
    convolve_mixed,
    mixed_kernels,
    pays,
)

PAST = DEPTH - 1
"""Frames before the first new one that a convolution three frames deep sees."""


class History:
    """What the stream of one video remembers.

    Attributes:
        frames: The last input frames of each convolution in time; zeros stand before the video.
        is_empty: Whether the next latent frame is the first one.
    """

    def __init__(self) -> None:
        self.frames: dict[nn.Module, torch.Tensor] = {}
        self.is_empty = True


class Norm(nn.Module):
    """The length sqrt(C) times gamma for the channels of each pixel."""

    scale: torch.Tensor

    def __init__(self, channels: int, num_axes: int = 3) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(channels, *(1,) * num_axes))

    def prepare(self) -> None:
        """Take the factor of each channel from the loaded weights."""
        gamma = self.gamma.detach().flatten().float()
        self.register_buffer("scale", gamma * len(gamma) ** 0.5, persistent=False)

    def forward(
        self, x: torch.Tensor, out: torch.Tensor | None = None, *, activate: bool = True
    ) -> torch.Tensor:
        """Normalise [..., C] into `out`; SiLU follows where `activate` is set."""
        out = x.new_empty(x.shape) if out is None else out
        return normalise(x, self.scale, out, activate=activate)


class Pointwise(nn.Module):
    """A convolution of single pixels."""

    def __init__(self, in_channels: int, out_channels: int, num_axes: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *(1,) * num_axes))
        self.bias = nn.Parameter(torch.empty(out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., C] to [..., O]."""
        return functional.linear(x, self.weight.flatten(1), self.bias)


class CausalConv(nn.Module):
    """A 3 x 3 convolution of a frame and the two before it, with zeros around the video.

    The caller writes its input into the room that `room` makes, so that earlier and new frames lie
    in one piece of memory without being copied together.
    """

    size = 3

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        shape = (out_channels, in_channels, DEPTH, self.size, self.size)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self._mixed: dict[int, MixedKernels] = {}

    def prepare(self) -> None:
        """Put the loaded weights into the order that the kernels read them in."""
        weight = self.weight.detach().contiguous(memory_format=torch.channels_last_3d)
        self.weight = nn.Parameter(weight, requires_grad=False)

    def room(self, like: torch.Tensor, history: History) -> tuple[torch.Tensor, torch.Tensor]:
        """Make an input buffer.

        Args:
            like: Frames [T, H, W, any] of the size of the new ones.
            history: Where the frames before them are taken from.

        Returns:
            The buffer [2 + T, H, W, C], and its last frames [T, H, W, C]: the new ones are to be
            written there.
        """
        num_frames, height, width, _ = like.shape
        buffer = like.new_empty(PAST + num_frames, height, width, self.weight.shape[1])
        buffer[:PAST] = history.frames.get(self, 0)
        return buffer, buffer[PAST:]

    def forward(self, buffer: torch.Tensor, history: History) -> torch.Tensor:
        """Convolve a filled buffer of `room` to [T, H, W, O] and keep its last frames."""
        last, seen = buffer[-PAST:], history.frames.get(self)
        if seen is None:
            history.frames[self] = last.clone()
        else:
            seen.copy_(last)  # in its place: fresh memory costs more than the copy
        return self._convolve(buffer, is_first=seen is None)

    def _convolve(self, buffer: torch.Tensor, *, is_first: bool) -> torch.Tensor:
        num_frames = len(buffer) - PAST
        if is_first and num_frames == 1:  # what lies before it is zero, so a third of the work does
            last = self.weight[:, :, PAST:].contiguous(memory_format=torch.channels_last_3d)
            return self._convolve_plainly(buffer[PAST:], last)
        if pays(buffer, num_frames):
            if num_frames not in self._mixed:
                self._mixed[num_frames] = mixed_kernels(self.weight, self.bias, num_frames)
            return convolve_mixed(buffer, self._mixed[num_frames])
        return self._convolve_plainly(buffer, self.weight)

    def _convolve_plainly(self, frames: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        x = frames.permute(3, 0, 1, 2)[None]
        return convolve(x, weight, self.bias, (0, 1, 1))[0].permute(1, 2, 3, 0)


class TimeConv(CausalConv):
    """A convolution of a pixel and the same pixel of the two frames before it."""

    size = 1

    def _convolve(self, buffer: torch.Tensor, *, is_first: bool) -> torch.Tensor:
        del is_first  # it is cheap
        num_frames = len(buffer) - PAST
        seen = torch.cat([buffer[k : k + num_frames] for k in range(DEPTH)], dim=-1)
        weight = self.weight.flatten(2).transpose(1, 2).flatten(1)
        return functional.linear(seen, weight, self.bias)


class ResidualBlock(nn.Module):
    """Norm, SiLU and convolution, twice, beside a shortcut."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = Norm(in_channels)
        self.conv1 = CausalConv(in_channels, out_channels)
        self.norm2 = Norm(out_channels)
        self.conv2 = CausalConv(out_channels, out_channels)
        same = in_channels == out_channels
        self.conv_shortcut = None if same else Pointwise(in_channels, out_channels)

    def forward(self, x: torch.Tensor, history: History) -> torch.Tensor:
        """Frames [T, H, W, C] to [T, H, W, O]."""
        shortcut = x if self.conv_shortcut is None else self.conv_shortcut(x)
        x = normalised_conv(x, self.norm1, self.conv1, history)
        return normalised_conv(x, self.norm2, self.conv2, history).add_(shortcut)


def normalised_conv(
    x: torch.Tensor, norm: Norm, conv: CausalConv, history: History
) -> torch.Tensor:
    """Norm, SiLU and convolution of frames [T, H, W, C]."""
    buffer, new = conv.room(x, history)
    norm(x, new)
    found: torch.Tensor = conv(buffer, history)
    return found


class AttentionBlock(nn.Module):
    """Attention of one head between the pixels of each frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = Norm(channels, num_axes=2)
        self.to_qkv = Pointwise(channels, 3 * channels, num_axes=2)
        self.proj = Pointwise(channels, channels, num_axes=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Frames [T, H, W, C], changed."""
        pixels = self.norm(x, activate=False).flatten(1, 2)[:, None]
        q, k, v = self.to_qkv(pixels).chunk(3, dim=-1)
        attended = functional.scaled_dot_product_attention(q, k, v)
        added: torch.Tensor = self.proj(attended).view_as(x)
        return x + added


class MidBlock(nn.Module):
    """What the smallest pictures go through."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResidualBlock(channels, channels) for _ in range(2))
        self.attentions = nn.ModuleList([AttentionBlock(channels)])

    def forward(self, x: torch.Tensor, history: History) -> torch.Tensor:
        """Frames [T, H, W, C], changed."""
        x = self.attentions[0](self.resnets[0](x, history))
        found: torch.Tensor = self.resnets[1](x, history)
        return found
