"""Wan's decoder: the network of diffusers' `AutoencoderKLWan`, with the names of its weights.

Source: diffusers 0.42.1, models/autoencoders/autoencoder_kl_wan.py, `WanDecoder3d`, and Wan2.1,
wan/modules/vae.py. The tests compare it with diffusers'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn

from hiar.codecs.wan_decoder.layers import (
    CausalConv,
    History,
    MidBlock,
    Norm,
    Pointwise,
    ResidualBlock,
    normalised_conv,
)
from hiar.codecs.wan_decoder.upsampling import Upsampler, add_copies
from hiar.errors import UsageError
from hiar.weights.checkpoint_fit import check_finite, find_faults, join_faults


@dataclass(frozen=True, kw_only=True)
class DecoderSizes:
    """Sizes of a decoder, under the names of diffusers' config.

    Attributes:
        z_dim: Channels of a latent frame.
        dim: Channels of the largest pictures; `dim_mult` is that of the encoder's blocks over it.
        num_res_blocks: Residual blocks of a level of the encoder; the decoder has one more.
        in_time: For each level but the last, whether it doubles the frames.
        is_residual: Whether every upsampling has a shortcut, as in Wan 2.2's 5B model.
        out_channels: Channels that come out: 3 for each pixel of a patch.
        patch_size: Rows and columns of pixels that come out as channels.
    """

    z_dim: int
    dim: int
    dim_mult: tuple[int, ...]
    num_res_blocks: int
    in_time: tuple[bool, ...]
    is_residual: bool
    out_channels: int
    patch_size: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The sizes in the config of an `AutoencoderKLWan`; fields of newer ones may be missing."""
        return cls(
            z_dim=config["z_dim"],
            dim=config.get("decoder_base_dim") or config["base_dim"],
            dim_mult=tuple(config["dim_mult"]),
            num_res_blocks=config["num_res_blocks"],
            in_time=tuple(reversed(config["temperal_downsample"])),
            is_residual=config.get("is_residual", False),
            out_channels=config.get("out_channels", 3),
            patch_size=config.get("patch_size") or 1,
        )


Part = Callable[[torch.Tensor, History], torch.Tensor]
"""Takes frames [T, H, W, C] of a video one step further."""


class UpBlock(nn.Module):
    """Residual blocks at one size, then the upsampling to the next, if there is one."""

    def __init__(
        self, in_channels: int, out_channels: int, sizes: DecoderSizes, in_time: bool | None
    ) -> None:
        super().__init__()
        widths = [in_channels, *[out_channels] * (sizes.num_res_blocks + 1)]
        self.resnets = nn.ModuleList(map(ResidualBlock, widths, widths[1:]))
        self.is_residual = sizes.is_residual
        self.times = 2 if in_time else 1
        self.upsampler: Upsampler | None = None
        self.upsamplers: nn.ModuleList | None = None
        if in_time is None:
            return
        if sizes.is_residual:
            self.upsampler = Upsampler(out_channels, out_channels, in_time=in_time)
        else:
            halved = Upsampler(out_channels, out_channels // 2, in_time=in_time)
            self.upsamplers = nn.ModuleList([halved])

    def parts(self) -> list[Part]:
        """What frames go through one after the other; a shortcut joins all to one part."""
        if self.upsampler is not None:
            return [self]
        return [*self.resnets, *(self.upsamplers or [])]

    def forward(self, x: torch.Tensor, history: History) -> torch.Tensor:
        """Frames [T, H, W, C] to [T', 2 H, 2 W, O], where the upsampling has a shortcut."""
        assert self.upsampler is not None
        small = x
        for block in self.resnets:
            x = block(x, history)
        return add_copies(self.upsampler(x, history), small, self.times)


class Body(nn.Module):
    """The decoder proper."""

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        top = sizes.dim * sizes.dim_mult[-1]
        widths = [sizes.dim * multiple for multiple in reversed(sizes.dim_mult)]
        self.conv_in = CausalConv(sizes.z_dim, top)
        self.mid_block = MidBlock(top)
        # Without shortcuts an upsampling halves the channels, but for those of the first block.
        halved = 1 if sizes.is_residual else 2
        self.up_blocks = nn.ModuleList(
            UpBlock(before if index == 0 else before // halved, width, sizes, in_time)
            for index, (before, width, in_time) in enumerate(
                zip([top, *widths], widths, [*sizes.in_time, None], strict=False)
            )
        )
        self.norm_out = Norm(widths[-1])
        self.conv_out = CausalConv(widths[-1], sizes.out_channels)

    def parts(self) -> list[Part]:
        """What a latent frame [1, h, w, C] goes through, to frames [T, H, W, O]."""
        blocks = [block for block in self.up_blocks if isinstance(block, UpBlock)]
        return [self._enter, *(part for block in blocks for part in block.parts()), self._leave]

    def costs(self) -> list[float]:
        """Work of each part for a latent frame: its weights, times the pixels that they meet."""
        ends = sum(p.numel() for m in (self.conv_in, self.mid_block) for p in m.parameters())
        found, pixels = [float(ends)], 1.0
        for block in self.up_blocks:
            assert isinstance(block, UpBlock)
            for part in block.parts():
                assert isinstance(part, nn.Module)
                found.append(pixels * sum(p.numel() for p in part.parameters()))
            if block.upsampler is not None or block.upsamplers is not None:
                pixels *= 4 * block.times
        return [*found, pixels * sum(p.numel() for p in self.conv_out.parameters())]

    def _enter(self, x: torch.Tensor, history: History) -> torch.Tensor:
        buffer, new = self.conv_in.room(x, history)
        new.copy_(x)
        found: torch.Tensor = self.mid_block(self.conv_in(buffer, history), history)
        return found

    def _leave(self, x: torch.Tensor, history: History) -> torch.Tensor:
        return normalised_conv(x, self.norm_out, self.conv_out, history)


class WanDecoder(nn.Module):
    """Decodes one latent frame of one video at a time.

    All shapes are then the same whatever the batch and however a video is cut, and so is every sum:
    the frames do not depend on either in a single bit.

    Args:
        sizes: What the weights are of.
    """

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.patch_size = sizes.patch_size
        self.post_quant_conv = Pointwise(sizes.z_dim, sizes.z_dim)
        self.decoder = Body(sizes)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.post_quant_conv.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Number type of the weights."""
        return self.post_quant_conv.weight.dtype

    def forward(self, latents: torch.Tensor, history: History) -> torch.Tensor:
        """Decode a latent frame.

        Args:
            latents: [C, h, w], not normalised.
            history: What the stream of the video remembers; updated.

        Returns:
            Frames [3, T, H, W] in [-1, 1]; T = 1 at the start of the video, then 4.
        """
        return self.end(self.run(self.begin(latents), history))

    def begin(self, latents: torch.Tensor) -> torch.Tensor:
        """A latent frame [C, h, w] as the first part takes it, [1, h, w, C]."""
        found: torch.Tensor = self.post_quant_conv(latents.permute(1, 2, 0)[None].contiguous())
        return found

    def run(self, x: torch.Tensor, history: History, share: slice = slice(None)) -> torch.Tensor:
        """Pass a latent frame, or what earlier parts made of it, through a share of the parts."""
        for part in self.decoder.parts()[share]:
            x = part(x, history)
        history.is_empty = False
        return x

    def end(self, frames: torch.Tensor) -> torch.Tensor:
        """What the last part made, [T, H, W, O], as frames [3, T, H, W] in [-1, 1]."""
        frames = frames.clamp_(-1, 1)
        # The pixels of a patch came out as channels: colour, column, row.
        patch = (-1, self.patch_size, self.patch_size)
        parts: torch.Tensor = frames.unflatten(-1, patch).permute(3, 0, 1, 5, 2, 4)
        return parts.flatten(2, 3).flatten(3, 4)


def build_decoder(
    config: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    source: str,
    dtype: torch.dtype = torch.float32,
) -> WanDecoder:
    """Make a decoder with the weights of an `AutoencoderKLWan`.

    Args:
        config: The autoencoder's config.
        tensors: Its state dict; the encoder's tensors are passed over.
        source: Where they are from, for messages.
        dtype: Number type of the decoder.

    Raises:
        UsageError: For a missing, unknown, misshapen or non-finite tensor of the decoder, named.
    """
    with torch.device("meta"):
        model = WanDecoder(DecoderSizes.from_config(config))
    prefixes = ("decoder.", "post_quant_conv.")
    found = {name: value for name, value in tensors.items() if name.startswith(prefixes)}
    faults = find_faults(model.state_dict(), found)
    if faults:
        raise UsageError(f"{source} is no decoder of its config.json: {join_faults(faults)}")
    placed = {name: value.detach().to(dtype) for name, value in found.items()}
    for name, value in found.items():
        check_finite(name, value, placed[name], source)
    model.load_state_dict(placed, strict=True, assign=True)
    for module in model.modules():
        if isinstance(module, (CausalConv, Norm, Upsampler)):
            module.prepare()
    return model.eval().requires_grad_(False)
