"""Prepares weights for products in bfloat16 once, instead of for every frame.

Autocast rounds a weight that needs no gradient at every use, and oneDNN then reorders it for its
kernel. For DINOv2 on a CPU the two take about a ninth of a frame's time.
"""

from functools import cache

import torch
from torch import Tensor, nn

from drift.metrics.networks.settings import MetricSettings


class PackedLinear(nn.Module):
    """Replaces a linear layer on a CPU; its fixed weights are rounded and in the kernel's order.

    Args:
        linear: Layer to replace, with a bias.
        dtype: Precision of the product.
        rows: Usual number of tokens that go through the layer at once.
    """

    def __init__(self, linear: nn.Linear, dtype: torch.dtype, rows: int) -> None:
        super().__init__()
        # These are no buffers: a reordered tensor has no storage that a state dict could save.
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.to(dtype), rows)
        self._bias = linear.bias.to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D'), in the precision of the product."""
        return linear_of_packed(x.to(self._bias.dtype), self._weight, self._bias)


def linear_of_packed(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear layer by oneDNN; the weight may be in the order of its kernel."""
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], None)
    return out


@cache
def can_pack(dtype: torch.dtype) -> bool:
    """Whether `PackedLinear` works on this CPU with this PyTorch, found out by a tiny call."""
    with torch.inference_mode():
        try:
            PackedLinear(nn.Linear(16, 16), dtype, 16)(torch.ones(16, 16))
        except (
            AttributeError,
            RuntimeError,
        ):  # there is no such operator, or no AVX-512
            return False
    return True


def round_weights(network: nn.Module, dtype: torch.dtype) -> None:
    """Rounds the weights of linear layers and convolutions in place, as autocast would."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.weight.data = module.weight.data.to(dtype)


def pack_linears(
    network: nn.Module, settings: MetricSettings, dtype: torch.dtype, rows: int
) -> None:
    """Replaces the linear layers of a network in place where that is faster.

    Args:
        network: Network whose weights will not change any more.
        settings: Settings with the device.
        dtype: Precision of the products.
        rows: Usual number of tokens that go through a layer at once.
    """
    if settings.device_kind != "cpu" or dtype == torch.float32 or not can_pack(dtype):
        return
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, PackedLinear(child, dtype, rows))
