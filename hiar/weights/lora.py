"""Merge a low-rank update into the weights it was trained beside.

Layout: PEFT's, two matrices a linear layer, `<layer>.lora_A.weight` [rank, in] and
`<layer>.lora_B.weight` [out, rank], perhaps with the adapter's name before `weight`. The merged
weight is W + alpha / rank x B A.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from hiar.errors import UsageError

FACTOR_NAME = re.compile(r"^(?P<layer>.+)\.lora_(?P<factor>[AB])(\.\w+)?\.weight$")


def merge_lora(
    weights: Mapping[str, torch.Tensor], lora: Mapping[str, torch.Tensor], alpha: float | None
) -> dict[str, torch.Tensor]:
    """Add a LoRA to the weights of its layers.

    Args:
        weights: A whole state dict.
        lora: Factors under the layers' names; every one must find its layer.
        alpha: Numerator of the scale; None means the rank, a scale of 1.

    Returns:
        A new state dict; merged weights are summed in float32 and keep their dtype.

    Raises:
        UsageError: For a name that is no factor, a factor without its other half or its layer, or
            shapes that do not multiply to the layer's.
    """
    merged = dict(weights)
    for layer, factors in pair_factors(lora).items():
        name = f"{layer}.weight"
        if name not in weights:
            raise UsageError(f"the LoRA changes {name}, which the base weights lack: other model?")
        base, down, up = weights[name], factors["A"], factors["B"]
        if (up.shape[0], down.shape[1]) != tuple(base.shape) or up.shape[1] != down.shape[0]:
            raise UsageError(
                f"the LoRA of {name} is {tuple(up.shape)} x {tuple(down.shape)}: it does not fit "
                f"{tuple(base.shape)}"
            )
        scale = 1.0 if alpha is None else alpha / down.shape[0]
        merged[name] = (base.float() + scale * (up.float() @ down.float())).to(base.dtype)
    return merged


def pair_factors(lora: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Factors by layer: {layer: {"A": [rank, in], "B": [out, rank]}}."""
    pairs: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in lora.items():
        found = FACTOR_NAME.match(name)
        if found is None or not isinstance(value, torch.Tensor) or value.ndim != 2:
            raise UsageError(f"{name} is no LoRA factor: expected <layer>.lora_A.weight or lora_B")
        pairs.setdefault(found["layer"], {})[found["factor"]] = value
    if not pairs:
        raise UsageError("the LoRA holds no factors: expected <layer>.lora_A.weight and lora_B")
    for layer, factors in pairs.items():
        for missing in {"A", "B"} - factors.keys():
            raise UsageError(f"the LoRA of {layer} lacks lora_{missing}: the file is incomplete")
    return pairs
