"""Convolution of several frames with fewer multiplications: Winograd's method along time.

A convolution three frames deep makes T new frames of 2 + T with 3 T products of a picture and a
kernel. By Toom and Cook's interpolation 2 + T products do: the frames are mixed to 2 + T pictures,
each is convolved with a kernel of its own, and what comes out is mixed to T frames. Four frames
take half the work, two take two thirds. Only pixels at one place are mixed, so mixing is a small
matrix times frames that lie one after the other in memory.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015), Sec. 4.1, in one
dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import prod

import torch

from hiar.codecs.wan_decoder.kernels import convolve

DEPTH = 3
"""Frames that a kernel sees."""
POINTS = {2: ("0", "1", "-1"), 4: ("0", "1", "-1", "1/2", "-2")}
"""Interpolation points by number of new frames, beside infinity. Of the usual choices these have
the least error in float32: 3 times that of the plain sum for four frames, 1.3 times for two."""
MIN_ELEMENTS = 24 * 24 * 24
"""Elements H W C of a frame from which mixing costs less than it saves (measured on one core)."""
ELEMENTS_AT_ONCE = 1 << 20
"""Elements of a frame that are mixed at once: memory does not grow with the picture."""


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """The matrices for T new frames, float64.

    Attributes:
        frames: [2 + T, 2 + T], from frames to the pictures that are convolved.
        kernel: [2 + T, 3], from the depths of a kernel to the kernel of each picture.
        results: [T, 2 + T], from convolved pictures to new frames.
    """

    frames: torch.Tensor
    kernel: torch.Tensor
    results: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class MixedKernels:
    """What the pictures of a convolution are made, convolved and mixed with, float32.

    Attributes:
        mix: [2 + T, 2 + T], from frames to pictures.
        weight: [(2 + T) O, C, 3, 3], the kernels of all pictures.
        bias: [(2 + T) O].
        unmix: [T, 2 + T], from convolved pictures to new frames.
    """

    mix: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    unmix: torch.Tensor


@cache
def mixing(num_frames: int) -> Mixing:
    """The matrices for a number of new frames that is in `POINTS`."""
    points = [Fraction(point) for point in POINTS[num_frames]]
    others = [[other for other in points if other != point] for point in points]
    scales = [
        prod(point - other for other in rest) for point, rest in zip(points, others, strict=True)
    ]
    kernel = [
        [power / scale for power in powers(point, DEPTH)]
        for point, scale in zip(points, scales, strict=True)
    ]
    results = [powers(point, num_frames) for point in points]
    return Mixing(
        frames=matrix([*([*polynomial(rest), Fraction(0)] for rest in others), polynomial(points)]),
        kernel=matrix([*kernel, at_infinity(DEPTH)]),
        results=matrix([*results, at_infinity(num_frames)]).T.contiguous(),
    )


def powers(point: Fraction, count: int) -> list[Fraction]:
    """point^0, point^1 ..."""
    return [point**power for power in range(count)]


def at_infinity(count: int) -> list[Fraction]:
    """What a polynomial of `count` coefficients is there: its last one."""
    return [Fraction(0)] * (count - 1) + [Fraction(1)]


def polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients of the product of (x - root), the constant first."""
    found = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *found], [*(root * c for c in found), Fraction(0)]
        found = [a - b for a, b in zip(shifted, scaled, strict=True)]
    return found


def matrix(rows: Sequence[Sequence[Fraction]]) -> torch.Tensor:
    """The rows as a float64 tensor."""
    return torch.tensor([[float(value) for value in row] for row in rows], dtype=torch.float64)


def pays(frames: torch.Tensor, num_frames: int) -> bool:
    """Whether mixing is faster than the plain convolution to `num_frames` new frames.

    It is on a CPU, where arithmetic is what takes the time, and in float32: a narrower type would
    lose too much in the mixing.

    Args:
        frames: Input frames [any, H, W, C].
        num_frames: New frames that come out.
    """
    on_cpu = frames.device.type == "cpu" and frames.dtype == torch.float32
    return on_cpu and num_frames in POINTS and frames[0].numel() >= MIN_ELEMENTS


def mixed_kernels(weight: torch.Tensor, bias: torch.Tensor, num_frames: int) -> MixedKernels:
    """Prepare a convolution of weight [O, C, 3, 3, 3] and bias [O] for `num_frames` new frames."""
    matrices = mixing(num_frames)
    mixed = torch.einsum("kt,octyx->kocyx", matrices.kernel, weight.double())
    # The picture of point 1 enters every new frame once: its bias is that of all frames.
    biases = torch.zeros(len(mixed), len(bias))
    biases[POINTS[num_frames].index("1")] = bias
    return MixedKernels(
        mix=matrices.frames.float(),
        weight=mixed.float().flatten(0, 1).contiguous(memory_format=torch.channels_last),
        bias=biases.flatten(),
        unmix=matrices.results.float(),
    )


def convolve_mixed(buffer: torch.Tensor, kernels: MixedKernels) -> torch.Tensor:
    """Convolve frames, with zeros around each picture.

    Args:
        buffer: [2 + T, H, W, C], contiguous.
        kernels: The convolution, prepared for T new frames.

    Returns:
        [T, H, W, O].
    """
    num_pictures, height, width, channels = buffer.shape
    rows = max(1, ELEMENTS_AT_ONCE // (width * channels))
    out_channels = len(kernels.bias) // num_pictures
    found = buffer.new_empty(len(kernels.unmix), height, width, out_channels)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        found[:, top:bottom] = _convolve_rows(buffer, kernels, top, bottom)
    return found


def _convolve_rows(
    buffer: torch.Tensor, kernels: MixedKernels, top: int, bottom: int
) -> torch.Tensor:
    """Rows from `top` to before `bottom` of the result, [T, rows, W, O].

    The pictures lie side by side as groups of channels: a single call convolves all of them.
    """
    num_pictures, height = buffer.shape[:2]
    seen = buffer[:, max(top - 1, 0) : bottom + 1]  # a row more above and below, where there is one
    pictures = torch.mm(kernels.mix, seen.flatten(1)).view(*seen.shape)
    mixed = pictures.permute(1, 2, 0, 3)
    is_whole = bottom - top == height
    if not is_whole:  # only the edges of the picture have zeros beyond them
        padded = buffer.new_empty(bottom - top + 2, *mixed.shape[1:])
        first, last = int(top == 0), len(padded) - int(bottom == height)
        padded[first:last] = mixed
        padded[:first], padded[last:] = 0, 0
        mixed = padded
    groups = mixed.flatten(2).permute(2, 0, 1)[None]
    convolved = convolve(groups, kernels.weight, kernels.bias, (int(is_whole), 1), num_pictures)
    parts = convolved[0].unflatten(0, (num_pictures, -1)).permute(0, 2, 3, 1)
    return torch.mm(kernels.unmix, parts.flatten(1)).view(-1, *parts.shape[1:])
