"""The kernels of softmax attention at inference, and what each of them needs.

All but `sage` compute the same function and differ in rounding only. `sage` rounds queries and keys
to 8 bits; it is never chosen unless asked for by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch.nn.attention import SDPBackend

from hiar.model.attention import AttentionFn, attend

HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True, kw_only=True)
class AttentionKernel:
    """A way to compute attention.

    Attributes:
        make: Function that makes the attention function; called where nothing is missing.
        needs_gpu: Whether it runs on a GPU only, in bfloat16 or float16.
        least_capability: Oldest generation of GPU that it runs on, such as (9, 0) for Hopper.
        package: Package that holds it, as pip names it; None for PyTorch itself.
        extra: Extra of this toolkit that installs the package; None if there is none.
        functions: (module, function) pairs of the package, of which the first one found is taken.
        is_exact: Whether it computes softmax attention up to rounding.
    """

    make: Callable[[], AttentionFn]
    needs_gpu: bool = True
    least_capability: tuple[int, int] | None = None
    package: str | None = None
    extra: str | None = None
    functions: tuple[tuple[str, str], ...] = ()
    is_exact: bool = True

    def why_not(self, device: torch.device, dtype: torch.dtype) -> str | None:
        """Why it cannot run here, beginning with a verb; None if it can."""
        if not self.needs_gpu:
            return None
        if device.type != "cuda":
            return f"needs a GPU, not {device.type}"
        if dtype not in HALF:
            return f"needs bfloat16 or float16, not {str(dtype).removeprefix('torch.')}"
        if self.least_capability is not None:
            found = capability(device)
            if found < self.least_capability:
                least, here = (".".join(map(str, c)) for c in (self.least_capability, found))
                return (
                    f"needs a GPU of compute capability {least} or newer, and this one has {here}"
                )
        if self.functions and find_function(self.functions)[0] is None:
            install = f"pip install '{self.package}'"
            if self.extra is not None:
                install = f"pip install 'hiar-toolkit[{self.extra}]'"
            return (
                f"needs the package {self.package} ({install}), which is not here: "
                f"{find_function(self.functions)[1]}"
            )
        return None


def capability(device: torch.device) -> tuple[int, int]:
    """Compute capability of a GPU, such as (9, 0)."""
    return torch.cuda.get_device_capability(device)


@cache
def find_function(
    functions: tuple[tuple[str, str], ...],
) -> tuple[Callable[..., Any] | None, str]:
    """The first of several functions that can be imported, and why not if there is none.

    A package whose libraries do not fit this PyTorch or this driver fails in its own way while it
    is imported; that counts as not being here, and the reason is told.
    """
    reason = ""
    for module, name in functions:
        try:
            found: Callable[..., Any] = getattr(import_module(module), name)
        except (ImportError, AttributeError, OSError, RuntimeError) as error:
            reason = str(error).strip().partition("\n")[0]
            continue
        return found, ""
    return None, reason


FLASH_4 = (("flash_attn.cute", "flash_attn_func"),)
FLASH = (("flash_attn_interface", "flash_attn_func"), ("flash_attn", "flash_attn_func"))
"""FlashAttention 3 and 2."""
SAGE = (("sageattention", "sageattn_qk_int8_pv_fp8_cuda_sm90"),)


def _cudnn() -> AttentionFn:
    """PyTorch's cuDNN kernel, called by its own name.

    `torch.nn.attention.sdpa_kernel` would forbid all other kernels to the whole process, and so to
    the decoder, whose heads cuDNN refuses and which runs at the same time in another thread.
    """
    kernel = torch.ops.aten._scaled_dot_product_cudnn_attention

    def attend_cudnn(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))  # heads before tokens
        found = kernel(q, k, v, None, compute_log_sumexp=False)
        out: torch.Tensor = found[0]
        return out.transpose(1, 2)

    return attend_cudnn


def _from_package(functions: tuple[tuple[str, str], ...], **settings: Any) -> AttentionFn:
    """A package's function of q, k, v [B, tokens, heads, head_dim].

    Some versions also return the logarithm of the sum of exponentials.
    """
    kernel, reason = find_function(functions)
    assert kernel is not None, reason

    def attend_packaged(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        found = kernel(q, k, v, **settings)
        out: torch.Tensor = found[0] if isinstance(found, tuple) else found
        return out

    return attend_packaged


def flex(*, compiled: bool = True) -> AttentionFn:
    """PyTorch's flex_attention without a mask."""
    from torch.nn.attention.flex_attention import flex_attention  # noqa: PLC0415

    # Dynamic shapes: a window that fills shows seven numbers of keys, and one graph serves all.
    kernel = torch.compile(flex_attention, dynamic=True) if compiled else flex_attention

    def attend_flex(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = kernel(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        return out.transpose(1, 2)

    return attend_flex


KERNELS: dict[str, AttentionKernel] = {
    "sdpa": AttentionKernel(make=lambda: attend, needs_gpu=False),
    "cudnn": AttentionKernel(make=_cudnn),
    # Measured on one H100: 656 TFLOP/s where cuDNN's kernel reached 545 (docs/performance.md).
    "flash_attn_4": AttentionKernel(
        make=lambda: _from_package(FLASH_4), least_capability=(9, 0), package="flash-attn-4",
        extra="flash4", functions=FLASH_4,
    ),
    "flash_attn": AttentionKernel(
        make=lambda: _from_package(FLASH), package="flash-attn", extra="flash", functions=FLASH
    ),
    "flex": AttentionKernel(make=flex, needs_gpu=False),
    # SageAttention's kernel for Hopper: 8-bit queries and keys, e4m3 weights and values.
    "sage": AttentionKernel(
        make=lambda: _from_package(SAGE, tensor_layout="NHD"), least_capability=(9, 0),
        package="sageattention", functions=SAGE, is_exact=False,
    ),
}  # fmt: skip
"""Kernels by the name that `--attention` takes."""


def sdpa_choice(device: torch.device, dtype: torch.dtype, heads: int, head_dim: int) -> str:
    """Name of the kernel that PyTorch's own choice falls on for a model's shapes."""
    q = torch.empty(1, heads, 128, head_dim, device=device, dtype=dtype)
    return SDPBackend(torch._fused_sdp_choice(q, q, q)).name.lower()
