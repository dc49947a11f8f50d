"""Tell the C library to keep the memory that tensors free."""

from __future__ import annotations

import ctypes
import sys

# mallopt parameters (glibc, malloc.h).
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
KEEP_BYTES = 1 << 30
NEVER = -1


def keep_freed_memory() -> None:
    """Reuse large buffers instead of mapping fresh pages for each (Linux with glibc).

    By default glibc maps every buffer above 128 KiB anew and the kernel zeroes its pages: a CPU
    run of a convolutional decoder then spends a large share of its time in the kernel. With this,
    a process holds the most memory that it has needed until it ends.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEEP_BYTES)
        mallopt(M_TRIM_THRESHOLD, NEVER)
