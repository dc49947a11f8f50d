"""`--compile`: fuse what lies between the kernels of a layer through torch.compile.

A layer has three stretches without attention (norms, modulation, projections, rotary turn,
feed-forward). Each becomes one graph that all layers share. Attention and the cache stay outside,
so that a moving window never causes another compilation.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING

import torch

from hiar.errors import UsageError
from hiar.model.layers import Block

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan

STRETCHES = ("before_attention", "between_attentions", "after_attention")


def compile_layers(model: CausalWan, backend: str = "inductor") -> None:
    """Compile the stretches of every layer in place; the compilation itself runs at the first call.

    Args:
        model: The transformer.
        backend: Backend of torch.compile.

    Raises:
        UsageError: If this machine cannot compile (checked on a tiny function).
    """
    check_compiler(model.device, backend)
    for name in STRETCHES:
        stretch = getattr(Block, name)
        compiled = torch.compile(stretch, dynamic=False, fullgraph=True, backend=backend)
        for block in model.blocks:
            setattr(block, name, MethodType(compiled, block))


def check_compiler(device: torch.device, backend: str = "inductor") -> None:
    """Raise in one line if torch.compile does not work on this machine."""
    try:
        torch.compile(lambda x: x.sin() + 1, backend=backend)(torch.ones(64, device=device))
    except Exception as error:  # many classes: no compiler, no Triton, an old GPU
        reason = str(error).strip().splitlines()[0]
        raise UsageError(
            f"--compile does not work here ({type(error).__name__}: {reason}): "
            "install a C++ compiler (and Triton for a GPU), or leave --compile out"
        ) from error
