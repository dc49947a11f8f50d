"""Runs a network over a batch in parts that suit the device: single frames on a CPU.

On a CPU the features of several frames would not fit in the cache, which costs more than a larger
matrix product gains. Each core works alone on a frame at a time, so that no value depends on the
batch or on the number of threads or processes. A GPU takes the whole batch at once.
"""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from drift.metrics.networks.loading import reduced
from drift.metrics.networks.settings import MetricSettings

T = TypeVar("T")

LARGE_PX = 1_000_000
"""Frame size from which freed memory is given back; the networks then take seconds a frame."""


def in_parts(
    network: Callable[[Tensor], T], pictures: Tensor, settings: MetricSettings, dtype: torch.dtype
) -> list[T]:
    """Runs a network over a batch part by part, without gradients.

    Args:
        network: Function of pictures (b, 3, H, W).
        pictures: Batch (B, 3, H, W).
        settings: Settings with the device.
        dtype: Precision of the large matrix products.

    Returns:
        The result of each part, in order.
    """

    def run(part: Tensor) -> T:
        # Both modes hold for one thread only, so each thread has to enter them.
        with torch.inference_mode(), reduced(settings, dtype):
            return network(part)

    if pictures.device.type != "cpu":
        return [run(pictures)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that start now inherit it
    try:
        with ThreadPoolExecutor(threads) as cores:
            return list(cores.map(run, pictures.split(1)))
    finally:
        torch.set_num_threads(threads)
        if pictures.shape[-2] * pictures.shape[-1] >= LARGE_PX:
            release_freed_memory()


def release_freed_memory() -> None:
    """Gives the freed memory of every thread back; does nothing where the C library cannot.

    glibc keeps what a thread has freed for that thread. Networks that run one after another on
    several threads would hold the sum of their peaks instead of the largest.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
