"""Memory that networks have freed, back to the system."""

from __future__ import annotations

import ctypes


def release_freed_memory() -> None:
    """Give freed memory of every thread back; does nothing where the C library cannot.

    glibc keeps what a thread has freed for that thread. Networks that run one after another on
    several threads would hold the sum of their peaks instead of the largest.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
