"""Convolutions and the norm of Wan's decoder, on tensors whose channels lie innermost in memory."""

from __future__ import annotations

import sys

import torch
from torch.nn import functional

from hiar.model.attention_backends import refusal
from hiar.model.attention_kernels import find_function

MIN_LENGTH = 1e-12
"""Least length that a pixel's channels are divided by: `torch.nn.functional.normalize`'s."""
ELEMENTS_AT_ONCE = 1 << 17
"""Elements that one thread normalises at once: half a megabyte stays in a core's own cache."""
ELEMENTS_AT_ONCE_SHARED = 1 << 20
"""The same for each of several threads. They wait for one another after every operation, which on a
busy machine takes longer than the operation itself on a small piece."""
TRITON_NORM = (("hiar.codecs.wan_decoder.triton_norm", "normalise_pixels"),)


class FusedNorm:
    """Runs the norm as one Triton kernel; where that cannot be, a line says why, once.

    Attributes:
        reason: Why PyTorch computes the norm in several passes instead; None as long as the kernel
            runs, or has not been tried.
    """

    def __init__(self) -> None:
        self.reason: str | None = None

    def __call__(
        self, rows: torch.Tensor, scale: torch.Tensor, out: torch.Tensor, activate: bool
    ) -> bool:
        """Normalise rows [pixels, C] into `out`; False, with nothing done, where it cannot."""
        if self.reason is not None:
            return False
        kernel, missing = find_function(TRITON_NORM)
        try:
            if kernel is None:
                raise ImportError(missing)
            kernel(rows, scale, out, MIN_LENGTH, activate)
        except Exception as error:  # Triton and the C compiler that it needs have many
            self.reason = refusal(error)
            sys.stderr.write(
                f"hiar: the decoder's norm does not run as a Triton kernel here ({self.reason}): "
                "PyTorch computes it, more slowly\n"
            )
        return self.reason is None


fused_norm = FusedNorm()
"""The norm on GPUs."""


def convolve(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    padding: tuple[int, ...],
    groups: int = 1,
) -> torch.Tensor:
    """Convolve pictures [N, C, H, W] or videos [N, C, T, H, W].

    On one thread PyTorch hands a single video to a slow kernel of its own. oneDNN, which is three
    times as fast there, is therefore asked for by name.
    """
    if x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkldnn.is_available():
        ones = (1,) * len(padding)
        return torch.mkldnn_convolution(x, weight, bias, padding, ones, ones, groups)
    function = functional.conv3d if x.ndim == 5 else functional.conv2d
    return function(x, weight, bias, padding=padding, groups=groups)


def normalise(
    x: torch.Tensor, scale: torch.Tensor, out: torch.Tensor, *, activate: bool
) -> torch.Tensor:
    """Give each pixel's channels unit length, scale them, and apply SiLU if asked; in float32.

    On a GPU it is one kernel. On a CPU it works through the pixels piece by piece, so that a piece
    is read from memory and written to it once.

    Args:
        x: [..., C].
        scale: Factor of each channel, float32 [C].
        out: [..., C], contiguous, where the result is written.
        activate: Whether SiLU follows.

    Returns:
        `out`.
    """
    rows, targets = x.flatten(0, -2), out.flatten(0, -2)
    if x.device.type == "cuda" and fused_norm(rows, scale, targets, activate):
        return out
    num_threads = torch.get_num_threads()
    elements = ELEMENTS_AT_ONCE if num_threads == 1 else ELEMENTS_AT_ONCE_SHARED * num_threads
    at_once = max(1, elements // x.shape[-1])
    if x.device.type != "cpu" or len(rows) <= at_once:
        _normalise_rows(rows, scale, targets, activate)
        return out
    for piece, target in zip(rows.split(at_once), targets.split(at_once), strict=True):
        _normalise_rows(piece, scale, target, activate)
    return out


def _normalise_rows(
    rows: torch.Tensor, scale: torch.Tensor, out: torch.Tensor, activate: bool
) -> None:
    wide = rows.float()
    length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).clamp_(min=MIN_LENGTH)
    found = out if out.dtype == torch.float32 else torch.empty_like(wide)
    torch.div(wide, length, out=found).mul_(scale)
    if activate:
        functional.silu(found, inplace=True)
    if found is not out:
        out.copy_(found)
