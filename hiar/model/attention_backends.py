"""Which kernel computes attention at inference: PyTorch's choice, cuDNN, flash-attn or flex.

`auto` times the backends that work here, once for each device, dtype and shape, and remembers the
fastest one in memory and in a small file. All backends compute the same function and differ in
rounding only. Training uses PyTorch's choice.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from hiar.errors import UsageError
from hiar.model.attention import AttentionFn, attend
from hiar.model.config import ATTENTION_BACKENDS
from hiar.runtime.device import Stopwatch, device_name
from hiar.runtime.files import atomic_write_text

HALF = (torch.float16, torch.bfloat16)


def attention_backend(
    name: str, device: torch.device, dtype: torch.dtype, *, memory: Path | None = None
) -> AttentionFn:
    """The attention function of a backend.

    Args:
        name: sdpa (PyTorch chooses: flash, cuDNN, efficient or math), cudnn, flash_attn, flex, or
            auto.
        device, dtype: Device and dtype of queries, keys and values.
        memory: File in which `auto` keeps what it measured; None means `default_memory()`.

    Raises:
        UsageError: For an unknown name, or a backend that does not work here.
    """
    if name == "auto":
        names = [n for n in _MAKERS if _why_not(n, device, dtype) is None]
        # Flex without a mask is three times slower than sdpa on a CPU, after a minute's compiling.
        candidates = {n: _MAKERS[n]() for n in names if n != "flex" or device.type == "cuda"}
        return MeasuredAttention(candidates, device, dtype, memory or default_memory())
    if name not in _MAKERS:
        raise UsageError(
            f"attention {name!r} is unknown: use one of {', '.join(ATTENTION_BACKENDS)}"
        )
    reason = _why_not(name, device, dtype)
    if reason is not None:
        raise UsageError(f"attention {name!r} {reason}; use sdpa or auto")
    return _MAKERS[name]()


class MeasuredAttention:
    """Calls the fastest of several backends, found by timing them on the first call of a shape.

    A backend that refuses a shape is passed over for it.

    Args:
        candidates: Backends by name.
        device, dtype: Device and dtype of queries, keys and values.
        memory: JSON file of earlier findings; unreadable is the same as empty.
    """

    def __init__(
        self,
        candidates: Mapping[str, AttentionFn],
        device: torch.device,
        dtype: torch.dtype,
        memory: Path,
    ) -> None:
        self._candidates = candidates
        self._memory = memory
        names = ",".join(candidates)
        threads = f"{torch.get_num_threads()} threads" if device.type == "cpu" else "gpu"
        kind = str(dtype).removeprefix("torch.")
        self._key = f"torch {torch.__version__}|{device_name(device)}|{threads}|{kind}|{names}"
        known = _read(memory).get(self._key, {})
        self.choices: dict[str, str] = {s: n for s, n in known.items() if n in candidates}
        """Chosen backend by shape, "queries x keys x heads x head_dim, batch"."""
        self.refusals: dict[str, str] = {}
        """Why a backend was passed over."""

    def __call__(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Attention [B, L, N, K] by the fastest backend for these shapes."""
        shape = f"{q.shape[1]}x{k.shape[1]}x{q.shape[2]}x{q.shape[3]},{q.shape[0]}"
        if shape not in self.choices:
            self.choices[shape] = self._fastest(q, k, v)
            self._remember()
        return self._candidates[self.choices[shape]](q, k, v)

    def _fastest(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> str:
        if len(self._candidates) == 1:
            return next(iter(self._candidates))
        seconds = {}
        for name, attention in self._candidates.items():
            try:
                seconds[name] = time_attention(attention, q, k, v)
            except RuntimeError as error:  # cuDNN and flash-attn refuse some head sizes
                self.refusals[name] = str(error).strip().partition("\n")[0]
        if not seconds:
            raise UsageError(f"no attention backend runs here: {self.refusals}")
        return min(seconds, key=lambda name: seconds[name])

    def _remember(self) -> None:
        if len(self._candidates) == 1:
            return  # nothing was measured
        found = _read(self._memory)
        found[self._key] = found.get(self._key, {}) | self.choices
        try:
            atomic_write_text(self._memory, json.dumps(found, indent=1) + "\n")
        except OSError:  # a read-only home: measure again next time
            self._memory = Path(os.devnull)


def time_attention(
    attention: AttentionFn, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, repeats: int = 5
) -> float:
    """Median seconds of one call, after one that warms up (and compiles)."""
    attention(q, k, v)
    seconds = []
    for _ in range(repeats):
        watch = Stopwatch(q.device)
        start = watch.mark()
        attention(q, k, v)
        seconds.append(watch.seconds(start, watch.mark()))
    return statistics.median(seconds)


def default_memory() -> Path:
    """Where `auto` keeps its findings: `$XDG_CACHE_HOME/hiar/attention.json`."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "hiar" / "attention.json"


def _read(memory: Path) -> dict[str, dict[str, str]]:
    try:
        found = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _cudnn() -> AttentionFn:
    def attend_cudnn(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            return attend(q, k, v)

    return attend_cudnn


def _flash() -> AttentionFn:
    kernel = _flash_kernel()
    assert kernel is not None

    def attend_flash(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        found = kernel(q, k, v)
        # FA3's earlier versions also return the log-sum-exp.
        out: torch.Tensor = found[0] if isinstance(found, tuple) else found
        return out

    return attend_flash


@lru_cache(maxsize=1)
def _flash_kernel() -> Callable[..., Any] | None:
    """flash_attn_func of FlashAttention 3 (`flash_attn_interface`) or 2 (`flash_attn`)."""
    for module in ("flash_attn_interface", "flash_attn"):
        try:
            found: Callable[..., Any] = __import__(module).flash_attn_func
        except (ImportError, AttributeError):
            continue
        return found
    return None


def _flex(*, compiled: bool = True) -> AttentionFn:
    from torch.nn.attention.flex_attention import flex_attention  # noqa: PLC0415

    # Dynamic shapes: a window that fills shows seven numbers of keys, and one graph serves all.
    kernel = torch.compile(flex_attention, dynamic=True) if compiled else flex_attention

    def attend_flex(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = kernel(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        return out.transpose(1, 2)

    return attend_flex


_MAKERS: dict[str, Callable[[], AttentionFn]] = {
    "sdpa": lambda: attend,
    "cudnn": _cudnn,
    "flash_attn": _flash,
    "flex": _flex,
}


def _why_not(name: str, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why a backend cannot run here, or None if it can."""
    if name in ("cudnn", "flash_attn"):
        if device.type != "cuda":
            return f"needs a GPU, not {device.type}"
        if dtype not in HALF:
            return f"needs bfloat16 or float16, not {str(dtype).removeprefix('torch.')}"
    if name == "flash_attn" and _flash_kernel() is None:
        return "needs the package flash-attn (pip install flash-attn), which is not here"
    return None
