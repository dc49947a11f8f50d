"""Norm and SiLU of Wan's decoder as one Triton kernel: a pixel is read once and written once.

Importing this file needs Triton, which comes with PyTorch for GPUs on Linux.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

ELEMENTS_A_PROGRAM = 2048
"""Elements that one program of 4 warps holds in registers, 16 a thread; a pixel is never split."""


@triton.jit  # type: ignore[untyped-decorator]
def _normalise_pixels(  # type: ignore[no-untyped-def]
    x, scale, out, num_pixels, channels, min_length,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr, ACTIVATE: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)[:, None]
    channel = tl.arange(0, CHANNELS)[None, :]
    place = pixel * channels + channel
    is_inside = (pixel < num_pixels) & (channel < channels)
    wide = tl.load(x + place, mask=is_inside, other=0.0).to(tl.float32)
    length = tl.maximum(tl.sqrt(tl.sum(wide * wide, axis=1, keep_dims=True)), min_length)
    found = wide / length * tl.load(scale + channel, mask=channel < channels, other=0.0)
    if ACTIVATE:
        found = found * tl.sigmoid(found)
    tl.store(out + place, found.to(out.dtype.element_ty), mask=is_inside)


def normalise_pixels(
    x: torch.Tensor, scale: torch.Tensor, out: torch.Tensor, min_length: float, activate: bool
) -> None:
    """Give each pixel's channels unit length, scale them, and apply SiLU if asked; in float32.

    Args:
        x: [pixels, C].
        scale: Factor of each channel, float32 [C].
        out: [pixels, C], contiguous, where the result is written.
        min_length: Least length that a pixel's channels are divided by.
        activate: Whether SiLU follows.
    """
    num_pixels, channels = x.shape
    width = triton.next_power_of_2(channels)
    pixels = max(1, ELEMENTS_A_PROGRAM // width)
    with torch.cuda.device_of(x):  # Triton launches on the present device
        _normalise_pixels[(triton.cdiv(num_pixels, pixels),)](
            x.contiguous(), scale, out, num_pixels, channels, min_length,
            PIXELS=pixels, CHANNELS=width, ACTIVATE=activate,
        )  # fmt: skip
