"""Which kernel computes attention at inference: the one that was named, or the fastest.

`auto` times the kernels that work here, once for each device, dtype and shape, and remembers the
fastest one in memory and in a small file. Training uses PyTorch's choice.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from hiar.errors import UsageError
from hiar.model.attention import AttentionFn, attend
from hiar.model.attention_kernels import KERNELS
from hiar.model.config import ATTENTION_BACKENDS
from hiar.runtime.device import Stopwatch, device_name
from hiar.runtime.files import atomic_write_text


def attention_backend(
    name: str, device: torch.device, dtype: torch.dtype, *, memory: Path | None = None
) -> AttentionFn:
    """The attention function of a backend.

    Args:
        name: A name of `KERNELS`: sdpa (PyTorch chooses: flash, cuDNN, efficient or math), cudnn,
            flash_attn_4, flash_attn, flex, sage; or auto.
        device, dtype: Device and dtype of queries, keys and values.
        memory: File in which `auto` keeps what it measured; None means `default_memory()`.

    Raises:
        UsageError: For an unknown name, or a backend that does not work here.
    """
    if name == "auto":
        names = [n for n, k in KERNELS.items() if k.is_exact and k.why_not(device, dtype) is None]
        # Flex without a mask is three times slower than sdpa on a CPU, after a minute's compiling.
        candidates = {n: KERNELS[n].make() for n in names if n != "flex" or device.type == "cuda"}
        return MeasuredAttention(candidates, device, dtype, memory or default_memory())
    if name not in KERNELS:
        raise UsageError(
            f"attention {name!r} is unknown: use one of {', '.join(ATTENTION_BACKENDS)}"
        )
    reason = KERNELS[name].why_not(device, dtype)
    if reason is not None:
        raise UsageError(f"attention {name!r} {reason}; use sdpa or auto")
    return attend if name == "sdpa" else NamedAttention(name, KERNELS[name].make())


def shape_of(q: torch.Tensor, k: torch.Tensor) -> str:
    """The shapes of a call in short: "queries x keys x heads x head_dim, batch"."""
    return f"{q.shape[1]}x{k.shape[1]}x{q.shape[2]}x{q.shape[3]},{q.shape[0]}"


def refusal(error: Exception) -> str:
    """Why a kernel refused a shape, in one line; being out of memory is no refusal."""
    if isinstance(error, torch.OutOfMemoryError):
        raise error
    return str(error).strip().partition("\n")[0] or type(error).__name__


class NamedAttention:
    """Calls one kernel; a shape that it refuses is computed by PyTorch's, and a line says so.

    Args:
        name: Name of the kernel, for messages.
        kernel: The kernel.
    """

    def __init__(self, name: str, kernel: AttentionFn) -> None:
        self._name, self._kernel = name, kernel
        self.refusals: dict[str, str] = {}
        """Why the kernel was passed over, by shape."""

    def __call__(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Attention [B, L, N, K]."""
        shape = shape_of(q, k)
        if shape not in self.refusals:
            try:
                return self._kernel(q, k, v)
            except Exception as error:  # each package has exceptions of its own
                self.refusals[shape] = refusal(error)
                sys.stderr.write(
                    f"hiar: attention {self._name!r} refuses {shape} ({self.refusals[shape]}): "
                    "sdpa computes it\n"
                )
        return attend(q, k, v)


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
        self.names = tuple(candidates)
        """The backends that it chooses among."""
        self._candidates = candidates
        self._memory = memory
        threads = f"{torch.get_num_threads()} threads" if device.type == "cpu" else "gpu"
        kind = str(dtype).removeprefix("torch.")
        names = ",".join(self.names)
        self._key = f"torch {torch.__version__}|{device_name(device)}|{threads}|{kind}|{names}"
        known = _read(memory).get(self._key, {})
        self.choices: dict[str, str] = {s: n for s, n in known.items() if n in candidates}
        """Chosen backend by shape."""
        self.refusals: dict[str, str] = {}
        """Why a backend was passed over."""

    def __call__(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Attention [B, L, N, K] by the fastest backend for these shapes."""
        shape = shape_of(q, k)
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
            except Exception as error:  # each package has exceptions of its own
                self.refusals[name] = refusal(error)
                sys.stderr.write(
                    f"hiar: attention 'auto' passes {name} over ({self.refusals[name]})\n"
                )
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
