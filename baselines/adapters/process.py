"""External programs: each has a session of its own, so that its children are ended with it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from baselines.errors import VideoFailedError

POLL_S = 0.05
GRACE_S = 5.0
LAST_LINE_CHARACTERS = 200
TORCHRUN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Variables by which torchrun numbers our processes; external programs must not see them."""


class Program:
    """A running program whose output is appended to a log.

    Args:
        argv: Command line.
        folder: Working folder of the program.
        variables: Environment variables to add to those of this process.
        log: File to which the output is appended.
    """

    def __init__(
        self, argv: Sequence[str], folder: Path, variables: Mapping[str, str], log: Path
    ) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            output.write(f"$ {' '.join(argv)}\n".encode(errors="replace"))
            output.flush()
            try:
                self._process: subprocess.Popen[bytes] = subprocess.Popen(
                    list(argv), cwd=folder, env=_environment(variables),
                    stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT,
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise VideoFailedError(f"{argv[0]} cannot be started: {error.strerror}") from error

    def send(self, line: str) -> None:
        """Write a line to the program's standard input; `wait` notices if the program has ended."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # `wait` reports the exit code
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()

    def wait(self, timeout_s: float, until: Callable[[], bool] | None = None) -> None:
        """Wait until the program exits with 0, or until a condition holds.

        Args:
            timeout_s: Longest wait.
            until: Condition that is polled while the program runs; None waits for its end.

        Raises:
            VideoFailedError: The program failed, ended before the condition held, or took too
                long and was killed.
        """
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            code = self._process.poll()
            if until is not None and until():
                return
            if code is not None:
                if code == 0 and until is None:
                    return
                raise VideoFailedError(f"the program {_describe_exit(code)}{self._last_words()}")
            time.sleep(POLL_S)
        self.stop()
        raise VideoFailedError(
            f"the program was stopped after {timeout_s:g} s (--timeout){self._last_words()}"
        )

    @property
    def is_running(self) -> bool:
        """Whether the program still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the program and its children: first with SIGTERM, then with SIGKILL."""
        for how, patience_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, None)):
            try:
                os.killpg(self._process.pid, how)
            except ProcessLookupError:
                break
            try:
                self._process.wait(patience_s)
            except subprocess.TimeoutExpired:
                continue
        self._process.wait()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # the program no longer reads it
                self._process.stdin.close()

    def _last_words(self) -> str:
        """The last line of the log, and the path of the log, for messages."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip() and not line.startswith("$ ")]
        last = f": {said[-1][-LAST_LINE_CHARACTERS:]}" if said else ""
        return f"{last} (log: {self.log})"


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in TORCHRUN}
    return ours | dict(variables)


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by signal {signal.Signals(-code).name}"


def visible_devices(device: str) -> dict[str, Any]:
    """The variable that restricts a program to one GPU if the device is cuda:N; else none."""
    kind, _, index = device.partition(":")
    return {"CUDA_VISIBLE_DEVICES": index} if kind == "cuda" and index else {}
