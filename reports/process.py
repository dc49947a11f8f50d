"""One process with its log, which never outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

POLL_S = 0.5
GRACE_S = 5.0
"""What an interrupted process gets to remove its temporary files before it is killed."""


def run_process(argv: Sequence[str], log: Path, tick: Callable[[float], None]) -> int:
    """Runs a command to its end.

    Args:
        argv: The command.
        log: Gets stdout and stderr, line by line.
        tick: Called with the seconds so far, twice a second.

    Returns:
        The exit code. When this is interrupted the process and its children are stopped first.
    """
    start = time.monotonic()
    with log.open("wb") as stream:
        # A session of its own: Ctrl-C reaches us only, and we stop the process.
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        try:
            while True:
                try:
                    return process.wait(timeout=POLL_S)
                except subprocess.TimeoutExpired:
                    tick(time.monotonic() - start)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and its children: a polite interrupt first, then a kill."""
    for sign, grace_s in ((signal.SIGINT, GRACE_S), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        try:
            process.wait(timeout=grace_s)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            continue
        return
