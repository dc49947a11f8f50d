"""The feed-forward layer's activation: GELU in its tanh form."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import nn
from torch.nn import functional

LINEAR = 2 * math.sqrt(2 / math.pi)
CUBIC = LINEAR * 0.044715
"""0.5 (1 + tanh(u)) is sigmoid(2 u), with u = sqrt(2 / pi) (x + 0.044715 x^3)."""


class TanhGELU(nn.Module):
    """`nn.GELU(approximate="tanh")`; a CPU that infers computes it through a sigmoid.

    PyTorch's vectorised tanh takes about three times as long as its sigmoid on a CPU, and was
    half of all time outside matrix products and attention. A GPU's kernel waits for memory.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The activation of each element, in the dtype of x."""
        if x.device.type != "cpu" or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return functional.gelu(x, approximate="tanh")
        return sigmoid_gelu(x)


class FeedForward(nn.Sequential):
    """A linear layer, GELU, a linear layer; the parameters are named 0 and 2, as in the release."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__(nn.Linear(dim, hidden_dim), TanhGELU(), nn.Linear(hidden_dim, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The layer's output, in the shape and dtype of x.

        A CPU that infers in bfloat16 applies GELU inside the first product, to its float32 sums:
        the hidden tensor is then written once, and no time is spent on reading it back.
        """
        first, gelu, last = self
        is_inferring = not (torch.is_grad_enabled() or torch.compiler.is_compiling())
        is_half_on_cpu = x.device.type == "cpu" and x.dtype == torch.bfloat16
        can_fuse = is_inferring and is_half_on_cpu and has_fused_gelu()
        if can_fuse and isinstance(first, nn.Linear):  # an 8-bit layer is none
            hidden = linear_gelu(x, first.weight, first.bias)
        else:
            hidden = gelu(first(x))
        out: torch.Tensor = last(hidden)
        return out


def linear_gelu(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The tanh form of GELU of a linear layer, in one oneDNN kernel; no gradient."""
    out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu", [], "tanh")
    return out


@cache
def has_fused_gelu() -> bool:
    """Whether this CPU and this PyTorch have `linear_gelu` in bfloat16, found by a tiny call."""
    ones = torch.ones(16, 16, dtype=torch.bfloat16)
    try:
        linear_gelu(ones, ones, ones[0])
    except (AttributeError, RuntimeError):  # no such operator, or no AVX-512
        return False
    return True


def sigmoid_gelu(x: torch.Tensor) -> torch.Tensor:
    """The tanh form of GELU as x sigmoid(x (LINEAR + CUBIC x^2)), in float32; no gradient."""
    x32 = x.float()
    factor = torch.addcmul(x32.new_tensor(LINEAR), x32, x32, value=CUBIC)
    return factor.mul_(x32).sigmoid_().mul_(x32).to(x.dtype)
