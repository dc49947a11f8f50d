"""How Wan's decoder makes pictures larger and more."""

from __future__ import annotations

from itertools import product

import torch
from torch import nn

from hiar.codecs.wan_decoder.kernels import convolve
from hiar.codecs.wan_decoder.layers import CausalConv, History

ROWS_SEEN = ((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)), ((1.0, 1.0, 0.0), (0.0, 0.0, 1.0))
"""[2, 2, 3]: for an even and an odd row of the doubled picture, which rows of a 3 x 3 kernel fall
on the first and on the second of the two rows that it sees of the small picture."""
QUARTERS = tuple(product((0, 1), (0, 1)))
"""(row, column) of each of the four pixels that one pixel becomes."""


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
        self.time_conv = CausalConv(in_channels, 2 * in_channels, size=1) if in_time else None

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
        num_frames, height, width, _ = x.shape
        grid = convolve(x.permute(0, 3, 1, 2), self.small_weight, self.small_bias, (1, 1))
        grid = grid.permute(0, 2, 3, 1).unflatten(-1, (2, 2, -1))
        large = x.new_empty(num_frames, height, 2, width, 2, grid.shape[-1])
        for row, column in QUARTERS:
            large[:, :, row, :, column] = grid[
                :, row : row + height, column : column + width, row, column
            ]
        return large.flatten(1, 2).flatten(2, 3)


def twice_as_many(x: torch.Tensor, conv: CausalConv, history: History) -> torch.Tensor:
    """Frames [T, H, W, C] to [2 T, H, W, C]; the convolution makes both of a pair as channels."""
    buffer, new = conv.room(x, history)
    new.copy_(x)
    pairs: torch.Tensor = conv(buffer, history).unflatten(-1, (2, -1))
    return pairs.movedim(3, 1).flatten(0, 1)


def add_copies(large: torch.Tensor, small: torch.Tensor, times: int) -> torch.Tensor:
    """Add to upsampled frames the frames they came from, whose values are copied or dealt out.

    A channel's values go to the `times` new frames and the four quarters of each pixel in turn:
    with as many channels after as before each gets a copy; with fewer, quarters get other channels.

    Args:
        large: [T', 2 H, 2 W, O], changed in place; T' is `times` T, or 1 at the start of the video.
        small: [T, H, W, C], C a multiple of O.
        times: 2 where there are twice as many frames but at the start of the video, else 1.
    """
    num_frames, height, width, channels = small.shape
    step = channels // large.shape[-1]
    num_copies = 4 * times // step
    here = len(large) // num_frames
    quarters = large.view(num_frames, here, height, 2, width, 2, -1)
    for frame in range(here):
        for row, column in QUARTERS:
            first = (4 * (times - here + frame) + 2 * row + column) // num_copies
            quarters[:, frame, :, row, :, column] += small[..., first::step]
    return large
