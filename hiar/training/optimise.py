"""One optimiser step and the learning-rate schedule, shared by every training loop here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.distributed.tensor import DTensor

if TYPE_CHECKING:
    from torch.optim import Optimizer


def warmup_cosine(step: int, steps: int, warmup_steps: int) -> float:
    """Learning-rate factor in [0, 1]: linear warm-up, then half a cosine down to zero."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def new_adamw(
    model: nn.Module, *, learning_rate: float, betas: tuple[float, float], weight_decay: float
) -> Optimizer:
    """AdamW over all parameters of a network, which begin to ask for gradients.

    On a GPU it is the fused kernel: PyTorch's default for sharded parameters is a Python loop over
    each of them, a dozen small kernels a parameter.
    """
    parameters = list(model.requires_grad_(True).parameters())
    return torch.optim.AdamW(
        parameters, lr=learning_rate, betas=betas, weight_decay=weight_decay,
        fused=parameters[0].device.type == "cuda" or None,
    )  # fmt: skip


def backward_and_step(
    optimiser: Optimizer, loss: torch.Tensor, *, learning_rate: float, clip_norm: float
) -> float:
    """Backpropagate a loss and take one optimiser step.

    Args:
        optimiser: Optimiser of the parameters.
        loss: A scalar with a graph.
        learning_rate: Learning rate of this step.
        clip_norm: Largest norm of the gradient, all parameters together.

    Returns:
        Norm of the gradient before it was clipped.
    """
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    return optimizer_step(optimiser, learning_rate=learning_rate, clip_norm=clip_norm)


def optimizer_step(optimiser: Optimizer, *, learning_rate: float, clip_norm: float) -> float:
    """Take one optimiser step on the accumulated gradient, then clear the gradient.

    Args:
        optimiser: Optimiser of the parameters, which may be sharded.
        learning_rate: Learning rate of this step.
        clip_norm: Largest norm of the gradient, all parameters and all shards together.

    Returns:
        Norm of the gradient before it was clipped.
    """
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(parameters, clip_norm)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    whole = norm.full_tensor() if isinstance(norm, DTensor) else norm
    return whole.item()
