"""The feed-forward layer's activation: GELU in its tanh form."""

from __future__ import annotations

import math

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


def sigmoid_gelu(x: torch.Tensor) -> torch.Tensor:
    """The tanh form of GELU as x sigmoid(x (LINEAR + CUBIC x^2)), in float32; no gradient."""
    x32 = x.float()
    factor = torch.addcmul(x32.new_tensor(LINEAR), x32, x32, value=CUBIC)
    return factor.mul_(x32).sigmoid_().mul_(x32).to(x.dtype)
