"""Notices of dependencies that say nothing to our user, and are not shown.

A message is named by its logger and its first words, so that any other one of the same package, and
every warning, still reaches the user.
"""

from __future__ import annotations

import logging

NOTICES = {
    "bitsandbytes.backends.cpu.ops": "Failed to load CPU gemm_4bit_forward from kernels-community",
}
"""First words by logger. bitsandbytes, which diffusers imports, asks on CPUs with AVX-512 BF16 for
a kernel of 4-bit weights, which nothing here has (bitsandbytes 0.50, backends/cpu/ops.py:253)."""


class _Notice(logging.Filter):
    """Drops the messages that begin with given words."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(self._words)


_FILTERS = {name: _Notice(words) for name, words in NOTICES.items()}


def hush_notices() -> None:
    """Drop the notices from now on; called before diffusers is imported."""
    for name, notice in _FILTERS.items():
        logging.getLogger(name).addFilter(notice)  # once, however often it is called
