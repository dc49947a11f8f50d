"""Runs a network over the frames of a batch in the parts that suit the device.

On a CPU a part is one frame: the features of several leave the cache and the allocator's reach,
which costs more than a larger product gains. The cores share the frames out and each works alone,
so no value depends on the batch, on the number of threads or on that of processes. A GPU takes the
batch whole.
"""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from drift.metrics.networks.loading import reduced
from drift.metrics.settings import MetricSettings

T = TypeVar("T")

LARGE_PX = 1_000_000
"""From this size on a network's freed features are given back: seconds a frame dwarf the cost."""


def in_parts(
    network: Callable[[Tensor], T], pictures: Tensor, settings: MetricSettings, dtype: torch.dtype
) -> list[T]:
    """What a network gives for a batch, part by part.

    Args:
        network: Maps (b, 3, H, W) to something; run without gradients.
        pictures: (B, 3, H, W).
        settings: The device.
        dtype: Precision of its large matrix products.

    Returns:
        One result a part, in order.
    """

    def run(part: Tensor) -> T:
        # Both modes belong to a thread.
        with torch.inference_mode(), reduced(settings, dtype):
            return network(part)

    if pictures.device.type != "cpu":
        return [run(pictures)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # also in the threads that start now
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
