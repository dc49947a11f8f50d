"""`--fp8 ffn`: feed-forward products in 8 bits (e4m3), with a scale a token and one an output.

Each row of the input and of the weight is divided by a scale that makes its largest element the
largest e4m3 number; the product multiplies them back. Only the feed-forward layers are large
enough to gain: on an H100 the 1536 x 1536 products of attention run no faster in 8 bits
(docs/performance.md). A GPU runs the product in one kernel; a CPU computes the same from the
rounded numbers in float32, slowly, so that the loss of accuracy can be seen anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from hiar.errors import UsageError
from hiar.model.attention_kernels import capability
from hiar.model.layers import Block

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan

FP8 = torch.float8_e4m3fn
FP8_NAME = "ffn e4m3"
"""What records call a model with 8-bit feed-forward products."""
LARGEST = torch.finfo(FP8).max
LEAST_CAPABILITY = (8, 9)
"""First generation of GPU with e4m3 products (NVIDIA Ada)."""
MULTIPLE = 16
"""The sides of an e4m3 product must be multiples of this (torch._scaled_mm)."""
TINIEST = 1e-12
"""Least scale: a row of zeros stays one."""


def quantise_rows(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Round each row of x [rows, columns] to e4m3.

    Returns:
        The rounded rows divided by their scales, and the scales [rows, 1], float32.
    """
    wide = x.float()
    scale = (wide.abs().amax(dim=-1, keepdim=True) / LARGEST).clamp_(min=TINIEST)
    return (wide / scale).clamp_(-LARGEST, LARGEST).to(FP8), scale


class Fp8Linear(nn.Module):
    """A linear layer whose product runs in 8 bits.

    Args:
        layer: The layer whose weight is rounded; its bias is kept.
    """

    weight: torch.Tensor
    scale: torch.Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight, scale = quantise_rows(layer.weight.detach())
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.bias = layer.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] to [..., out], in the dtype of x."""
        rows, scale = quantise_rows(x.flatten(0, -2))
        out: torch.Tensor = self._product(rows, scale, x.dtype).unflatten(0, x.shape[:-1])
        return out

    def _product(self, rows: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        if rows.device.type != "cuda":
            product = rows.float() @ self.weight.float().t() * scale * self.scale.t()
            found: torch.Tensor = (product + self.bias).to(dtype)
            return found
        return hardware_product(rows, scale, self.weight, self.scale, dtype) + self.bias


def hardware_product(
    rows: torch.Tensor,
    scale: torch.Tensor,
    weight: torch.Tensor,
    weight_scale: torch.Tensor,
    dtype: torch.dtype,
) -> torch.Tensor:
    """The product of rounded rows [M, in] and weights [out, in] by the device's own 8-bit units.

    PyTorch 2.11 can compile this function, but not `torch.nn.functional.scaled_mm`, its successor.
    """
    out: torch.Tensor = torch._scaled_mm(
        rows, weight.t(), scale, weight_scale.t(), out_dtype=dtype, use_fast_accum=True
    )
    return out


def use_fp8_feed_forward(model: CausalWan) -> None:
    """Put 8-bit products into every feed-forward layer, in place.

    Raises:
        UsageError: If the GPU is too old, the model is not bfloat16, or its sizes do not fit.
    """
    device, config = model.device, model.config
    if device.type == "cuda" and capability(device) < LEAST_CAPABILITY:
        here = ".".join(map(str, capability(device)))
        raise UsageError(
            f"--fp8 ffn needs a GPU of capability 8.9 or newer, and this one has {here}: leave "
            "--fp8 out"
        )
    if model.dtype != torch.bfloat16:
        kind = str(model.dtype).removeprefix("torch.")
        raise UsageError(f"--fp8 ffn replaces bfloat16 products, and the model is {kind}: add "
                         "--dtype bfloat16")  # fmt: skip
    if config.dim % MULTIPLE or config.ffn_dim % MULTIPLE:
        raise UsageError(
            f"--fp8 ffn needs widths that are multiples of {MULTIPLE}: this model has dim "
            f"{config.dim} and ffn_dim {config.ffn_dim}; leave --fp8 out"
        )
    for block in model.blocks:
        assert isinstance(block, Block)
        for index in (0, 2):
            layer = block.ffn[index]
            assert isinstance(layer, nn.Linear)
            block.ffn[index] = Fp8Linear(layer)


def has_fp8_feed_forward(model: CausalWan) -> bool:
    """Whether the model's feed-forward products run in 8 bits."""
    return any(isinstance(module, Fp8Linear) for module in model.blocks.modules())
