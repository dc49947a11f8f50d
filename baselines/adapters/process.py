"""External programs: each has a log, a time limit, and an end that its children share."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from baselines.errors import VideoFailedError
from drift.child_process import ChildProcess, last_line, signal_name

POLL_S = 0.05
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
                self._process = ChildProcess(
                    argv, output, _environment(variables), folder=folder, takes_input=True
                )
            except OSError as error:
                raise VideoFailedError(f"{argv[0]} cannot be started: {error.strerror}") from error

    def send(self, line: str) -> None:
        """Write a line to the program's standard input; `wait` notices if the program has ended."""
        self._process.send(line)

    def wait(self, timeout_s: float, until: Callable[[], bool] | None = None) -> None:
        """Wait until the program exits with 0, or until a condition holds.

        Args:
            timeout_s: Longest wait in seconds.
            until: Condition that is polled while the program runs; None waits for its end.

        Raises:
            VideoFailedError: The program failed, ended before the condition held, or took too
                long and was killed.
        """
        try:
            code = self._process.wait(POLL_S, timeout_s=timeout_s, until=until or (lambda: False))
        except TimeoutError:
            said = self._last_words()  # before the program complains of being stopped
            self.stop()
            raise VideoFailedError(
                f"the program was stopped after {timeout_s:g} s (--timeout){said}"
            ) from None
        if code is None or (until is None and code == 0) or (until is not None and until()):
            return
        name = signal_name(code)
        end = f"was ended by signal {name}" if name else f"ended with exit code {code}"
        raise VideoFailedError(f"the program {end}{self._last_words()}")

    @property
    def is_running(self) -> bool:
        """Whether the program still runs."""
        return self._process.exit_code is None

    def stop(self) -> None:
        """End the program and its children."""
        self._process.stop()

    def _last_words(self) -> str:
        """The last line of the log, and the path of the log, for messages."""
        last = last_line(self.log, LAST_LINE_CHARACTERS)
        said = "" if last.startswith("$ ") else f": {last}"
        return f"{said} (log: {self.log})"


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in TORCHRUN}
    return ours | dict(variables)


def visible_devices(device: str) -> dict[str, Any]:
    """The variable that restricts a program to one GPU if the device is cuda:N; else none."""
    kind, _, index = device.partition(":")
    return {"CUDA_VISIBLE_DEVICES": index} if kind == "cuda" and index else {}
