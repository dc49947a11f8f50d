"""How Wan's decoder makes pictures larger and more."""

from __future__ import annotations

import torch
from torch import nn

from hiar.codecs.wan_decoder.kernels import convolve
from hiar.codecs.wan_decoder.layers import History, TimeConv

ROWS_SEEN = ((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)), ((1.0, 1.0, 0.0), (0.0, 0.0, 1.0))
"""[2, 2, 3]: for an even and an odd row of the doubled picture, which rows of a 3 x 3 kernel fall
on the first and on the second of the two rows that it sees of the small picture."""


class PictureConv(nn.Module):
    """The weights of a 3 x 3 convolution of pictures."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.empty(out_channels))


class Upsampler(nn.Module):
    """Pictures of twice the height and width and, with a convolution in time, twice as many.

    Every pixel is doubled and a 3 x 3 convolution follows. Of the nine pixels that it sees only
    four differ, so a 2 x 2 convolution of the small picture gives the same, with the nine weights
    added up to four for each of the four pixels that one becomes: 4/9 of the work.

    Args:
        in_channels, out_channels: Channels before and after.
        in_time: Whether every latent frame but the first becomes twice as many frames.
    """

    small_weight: torch.Tensor
    small_bias: torch.Tensor

    def __init__(self, in_channels: int, out_channels: int, *, in_time: bool) -> None:
        super().__init__()
        self.resample = nn.ModuleList([nn.Identity(), PictureConv(in_channels, out_channels)])
        self.time_conv = TimeConv(in_channels, 2 * in_channels) if in_time else None

    def prepare(self) -> None:
        """Add up the loaded weights for the small picture."""
        conv = self.resample[1]
        assert isinstance(conv, PictureConv)
        seen = torch.tensor(ROWS_SEEN, device=conv.weight.device)
        weight = torch.einsum("pay,qbx,ocyx->pqocab", seen, seen, conv.weight.detach().float())
        small = weight.flatten(0, 2).to(conv.weight.dtype)
        small = small.contiguous(memory_format=torch.channels_last)
        self.register_buffer("small_weight", small, persistent=False)
        self.register_buffer("small_bias", conv.bias.detach().repeat(4), persistent=False)

    def forward(self, x: torch.Tensor, history: History) -> torch.Tensor:
        """Frames [T, H, W, C] to [T', 2 H, 2 W, O]."""
        if self.time_conv is not None and not history.is_empty:
            x = twice_as_many(x, self.time_conv, history)
        grid = convolve(x.permute(0, 3, 1, 2), self.small_weight, self.small_bias, (1, 1))
        return interleave(grid.permute(0, 2, 3, 1).contiguous())


def interleave(grid: torch.Tensor) -> torch.Tensor:
    """Put the pixels of large pictures in their places.

    Args:
        grid: [T, H + 1, W + 1, 4 O]: the four pixels, row by row, of which pixel (i, j) of the
            small picture becomes (i + row, j + column)'s at (row, column).

    Returns:
        [T, 2 H, 2 W, O].
    """
    num_frames, height, width, channels = grid.shape
    channels //= 4
    frame, down, right, _ = grid.stride()
    large = grid.as_strided(
        (num_frames, height - 1, 2, width - 1, 2, channels),
        (frame, down, down + 2 * channels, right, right + channels, 1),
    )
    return large.flatten(3, 4).flatten(1, 2)


def twice_as_many(x: torch.Tensor, conv: TimeConv, history: History) -> torch.Tensor:
    """Frames [T, H, W, C] to [2 T, H, W, C]; the convolution makes both of a pair as channels."""
    buffer, new = conv.room(x, history)
    new.copy_(x)
    pairs: torch.Tensor = conv(buffer, history).unflatten(-1, (2, -1))
    return pairs.movedim(3, 1).flatten(0, 1)


def add_copies(large: torch.Tensor, small: torch.Tensor, times: int) -> torch.Tensor:
    """Add to upsampled frames the frames they came from, whose values are copied or dealt out.

    A channel's values go to the `times` new frames and the four pixels of each in turn: with as
    many channels after as before each gets a copy; with fewer, pixels get other channels.

    Args:
        large: [T', 2 H, 2 W, O], changed in place; T' is `times` T, or T at the start of the video.
        small: [T, H, W, C], C a multiple of O.
        times: 2 where there are twice as many frames but at the start of the video, else 1.

    Returns:
        `large`.
    """
    num_frames, height, width, channels = small.shape
    step = channels // large.shape[-1]
    here = len(large) // num_frames
    dealt = small.unflatten(-1, (-1, step, 1)).expand(-1, -1, -1, -1, -1, 4 * times // step)
    parts = dealt.flatten(-2).unflatten(-1, (times, 2, 2))[..., times - here :, :, :]
    pixels = large.view(num_frames, here, height, 2, width, 2, -1)
    pixels += parts.permute(0, 4, 1, 5, 2, 6, 3)
    return large
