"""Runs one process with its log; the process never outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

POLL_S = 0.5
GRACE_S = 5.0
"""Seconds in which an interrupted process may remove its temporary files before it is killed."""
SUPERVISOR = Path(__file__).with_name("supervise.py")


class StoppedError(Exception):
    """The run was stopped, and with it the process."""


def run_process(
    argv: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    append: bool = False,
    tick: Callable[[float], None] | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Runs a command to its end.

    Args:
        argv: The command.
        log: File for stdout and stderr, line by line.
        environment: Variables besides our own.
        append: Whether to keep what the log holds.
        tick: Called twice a second with the seconds so far.
        stop: When set, the process is ended.

    Returns:
        The exit code. When this is interrupted, or dies, the process and its children are stopped.

    Raises:
        StoppedError: `stop` was set.
    """
    start = time.monotonic()
    with log.open("ab" if append else "wb") as stream:
        # In a session of its own, Ctrl-C does not reach the process: we stop it. The supervisor
        # ends it when the pipe closes, which also happens when we are killed.
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SUPERVISOR), *argv],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            start_new_session=True,
        )
        try:
            while True:
                if stop is not None and stop.is_set():
                    raise StoppedError
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(timeout=POLL_S)
                if tick is not None:
                    tick(time.monotonic() - start)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and its children: first by an interrupt, then by a kill."""
    for sign, grace_s in ((signal.SIGINT, GRACE_S), (signal.SIGKILL, None)):
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
        try:
            process.wait(timeout=grace_s)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            continue
        break
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # what a finished command left behind
    if process.stdin is not None:
        process.stdin.close()
