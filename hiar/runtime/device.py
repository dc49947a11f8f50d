"""Which device a run uses, its clock, its memory and the matrix products it can do."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from dataclasses import dataclass

import torch
from torch.nn import functional

from hiar.errors import UsageError

MATMUL_SECONDS = 0.05
MATMUL_SIZES = (256, 512, 1024, 2048, 4096, 8192)


def check_device(name: str) -> None:
    """Raise in one line if there is no such device here.

    Raises:
        UsageError: For a name torch does not know, or a GPU that is not there.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"device {name!r} is unknown: use cpu, cuda or cuda:N") from None
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            reason = "" if count else f" ({why_no_gpu()})"
            raise UsageError(
                f"device {name!r} is not here: torch sees {count} GPUs{reason}; use cpu"
            )
    elif device.type != "cpu":
        raise UsageError(f"device {name!r} is not supported: use cpu, cuda or cuda:N")


def why_no_gpu() -> str:
    """Why torch sees no GPU, in a few words, such as a driver too old for its CUDA libraries."""
    if torch.version.cuda is None:
        return "this PyTorch is built without CUDA"
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).strip().partition("\n")[0].partition(". ")[0]
    return f"CUDA {torch.version.cuda} finds none; is CUDA_VISIBLE_DEVICES empty?"


def device_name(device: torch.device) -> str:
    """The GPU's name, or the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor_name() or platform.machine()


def num_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            names = (line.partition(":")[2].strip() for line in lines if "model name" in line)
            return next(names, "")
    except OSError:
        return platform.processor()


@dataclass(frozen=True)
class Mark:
    """A moment: seconds of wall clock and of processor time, or an event in a GPU's queue."""

    wall_s: float = 0.0
    processor_s: float = 0.0
    event: torch.cuda.Event | None = None


class Stopwatch:
    """Marks moments on a device without making it wait.

    Args:
        device: A GPU's marks are events in its queue, so they time its kernels, not the launches.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def mark(self) -> Mark:
        """Now; on a GPU, when it gets here."""
        if self._device.type != "cuda":
            return Mark(time.perf_counter(), time.process_time())
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return Mark(event=event)

    def seconds(self, start: Mark, end: Mark) -> float:
        """Seconds between two marks; waits for a GPU to reach the second."""
        if start.event is None or end.event is None:
            return end.wall_s - start.wall_s
        end.event.synchronize()
        elapsed_ms: float = start.event.elapsed_time(end.event)
        return elapsed_ms / 1e3

    def processor_seconds(self, start: Mark, end: Mark) -> float | None:
        """Processor time of this process between two marks: what a shared CPU really gave it.

        None on a GPU.
        """
        return None if end.event is not None else end.processor_s - start.processor_s


def reset_peak_memory(device: torch.device) -> None:
    """Start a GPU's peak anew; a process's peak on a CPU cannot be."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory_bytes(device: torch.device) -> int:
    """Peak of the GPU's allocator, or of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@torch.no_grad()
def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a large square matrix product of random values: what this device can reach.

    The product is a linear layer's, x times the transpose of a weight. The size doubles until one
    takes `MATMUL_SECONDS` or is the largest of `MATMUL_SIZES`; the best of five at any size counts.
    """
    watch, best = Stopwatch(device), 0.0
    for size in MATMUL_SIZES:
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        functional.linear(a, b)
        seconds = []
        for _ in range(5):
            start = watch.mark()
            functional.linear(a, b)
            seconds.append(watch.seconds(start, watch.mark()))
        best = max(best, 2 * size**3 / min(seconds))
        if min(seconds) > MATMUL_SECONDS:
            break
    return best
