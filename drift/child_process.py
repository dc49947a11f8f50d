"""A child process with a log, which never outlives us: not after Ctrl-C, not after `kill -9`.

The child is this file, run as a script with nothing imported but the standard library, so it costs
milliseconds. It starts the command and leads its process group. It holds one end of a pipe, the
lifeline, whose other end the parent keeps: the kernel closes that end when the parent dies, however
it dies, and the child then kills its group.
"""

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
from typing import IO

GRACE_S = 5.0
"""Seconds in which a stopped command may remove its temporary files before it is killed."""


class StoppedError(Exception):
    """The process was ended because its caller asked for it."""


class ChildProcess:
    """A running command and its children, in a session of their own.

    Ctrl-C therefore does not reach the command by itself: the caller stops it, best by using the
    process as a context manager. A program that does not exist says so in `output` and ends with
    exit code 127, as in a shell.

    Args:
        argv: Command line.
        output: File that receives standard output and standard error, in order.
        environment: All environment variables of the command.
        folder: Working folder of the command; None for ours.
        takes_input: Whether `send` will be used; otherwise standard input is empty.
    """

    def __init__(
        self,
        argv: Sequence[str],
        output: IO[bytes],
        environment: Mapping[str, str],
        *,
        folder: Path | None = None,
        takes_input: bool = False,
    ) -> None:
        lifeline, self._our_end = os.pipe()
        try:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(lifeline), *argv],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(lifeline,),
                start_new_session=True,
            )
        except BaseException:
            os.close(self._our_end)
            raise
        finally:
            os.close(lifeline)

    def __enter__(self) -> ChildProcess:
        """Hand over the process, which is stopped when the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what still runs."""
        self.stop()

    @property
    def exit_code(self) -> int | None:
        """Exit code; 128 + N after signal N, as in a shell; None while the command runs."""
        return self._process.poll()

    def send(self, line: str) -> None:
        """Write a line to the command's standard input; a command that has ended reads nothing."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()

    def wait(
        self,
        poll_s: float,
        *,
        timeout_s: float | None = None,
        until: Callable[[], bool] = lambda: False,
        stop: threading.Event | None = None,
        tick: Callable[[float], None] | None = None,
    ) -> int | None:
        """Wait for the end of the command.

        Args:
            poll_s: Seconds between two looks at the conditions below.
            timeout_s: Seconds after which to give up; None waits for ever.
            until: Condition that ends the waiting while the command goes on.
            stop: Event that ends the waiting with an error.
            tick: Called at each look with the seconds so far.

        Returns:
            The exit code, or None if `until` holds.

        Raises:
            TimeoutError: The command took longer than `timeout_s`.
            StoppedError: `stop` was set.
        """
        started = time.monotonic()
        while not until():
            with suppress(subprocess.TimeoutExpired):
                return self._process.wait(poll_s)
            elapsed_s = time.monotonic() - started
            if stop is not None and stop.is_set():
                raise StoppedError
            if timeout_s is not None and elapsed_s > timeout_s:
                raise TimeoutError
            if tick is not None:
                tick(elapsed_s)
        return None

    def stop(self) -> None:
        """End the command and its children: an interrupt first, and a kill after `GRACE_S`."""
        for sign, grace_s in ((signal.SIGINT, GRACE_S), (signal.SIGKILL, None)):
            if self._process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, sign)
            try:
                self._process.wait(timeout=grace_s)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                continue
            break
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # what a finished command left behind
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        with suppress(OSError):  # closed by an earlier call
            os.close(self._our_end)
        self._our_end = -1


def signal_name(exit_code: int) -> str | None:
    """Name of the signal that ended a command, such as SIGKILL; None if it ended by itself."""
    with suppress(ValueError):
        return signal.Signals(exit_code - 128).name
    return None


def last_line(log: Path, longest: int = 300) -> str:
    """The last line of a log that is not empty, cut to `longest` characters; empty if none is.

    After a traceback this is the error.
    """
    lines = (line.strip() for line in reversed(log.read_text("utf-8", "replace").splitlines()))
    return next((line[-longest:] for line in lines if line), "")


def _supervise(lifeline: int, argv: Sequence[str]) -> int:
    """Run the command in the child; end the group when the lifeline is cut."""
    # An interrupt is for the command, and we wait for its end. A handler, unlike SIG_IGN, is not
    # inherited by the command.
    signal.signal(signal.SIGINT, lambda *_: None)
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    try:
        process = subprocess.Popen(argv)
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        return 127
    code = process.wait()
    return code if code >= 0 else 128 - code


def _end_with_parent(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(_supervise(int(sys.argv[1]), sys.argv[2:]))
