"""Runs the runner script inside the isolated environment: one process, one JSON file each way."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from eval.errors import IsolatedError
from eval.upstream.weights import VARIABLES, Root, weight_roots

RUNNER = Path(__file__).parent / "isolated" / "runner.py"
POLL_S = 0.5
GRACE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a process ended.

    Attributes:
        answer: The process's answer; None if it failed.
        failure: Why the process failed, in one line; empty if it succeeded.
        seconds: Duration of the process.
    """

    answer: Any
    failure: str
    seconds: float


def python_of(environment: Path) -> Path:
    """The environment's interpreter."""
    return environment / "bin" / "python"


def run_isolated(
    environment: Path,
    request: Mapping[str, Any],
    *,
    log: Path,
    timeout_s: float,
    variables: Mapping[str, str] | None = None,
    stop: Event | None = None,
) -> Outcome:
    """Runs one action of the runner script and waits for it.

    Args:
        environment: The isolated environment.
        request: The action and its arguments; see ``eval/upstream/isolated/runner.py``.
        log: File that receives what the process prints, both streams in order.
        timeout_s: Seconds after which the process and its children are ended.
        variables: Further environment variables.
        stop: Event that ends the process early when it is set.

    Returns:
        The answer, or why there is none. It counts as an answer only if the process exits with 0
        and its answer file is complete.

    Raises:
        IsolatedError: The process cannot be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hiar-vbench-") as name:
        request_path, answer_path = Path(name) / "request.json", Path(name) / "answer.json"
        request_path.write_text(json.dumps(request), encoding="utf-8")
        command = [python_of(environment), "-I", "-u", RUNNER, request_path, answer_path]
        with log.open("w", encoding="utf-8", errors="backslashreplace") as output:
            try:
                process = subprocess.Popen(
                    list(map(str, command)),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=isolated_variables(environment) | dict(variables or {}),
                    start_new_session=True,  # so that its children can be ended with it
                )
            except OSError as error:
                raise IsolatedError(
                    f"{python_of(environment)} does not start ({error.strerror}): make the "
                    "environment with `hiar-vbench setup`"
                ) from error
            failure = _wait(process, timeout_s, stop)
        answer = None
        if not failure:
            failure = _exit_failure(process.returncode, log)
        if not failure:
            try:
                answer = json.loads(answer_path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                failure = "it exited with 0 but wrote no whole answer"
    return Outcome(answer=answer, failure=failure, seconds=time.monotonic() - start)


def isolated_variables(
    environment: Path, inherited: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Environment variables of the process, without the caller's Python settings."""
    roots: dict[Root, Path] = weight_roots(inherited)
    kept = {name: value for name, value in inherited.items() if not name.startswith("PYTHON")}
    kept.pop("VIRTUAL_ENV", None)
    return kept | {
        "PATH": os.pathsep.join((str(environment / "bin"), inherited.get("PATH", os.defpath))),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        **{VARIABLES[root]: str(path) for root, path in roots.items()},
    }


def _wait(process: "subprocess.Popen[bytes]", timeout_s: float, stop: Event | None) -> str:
    deadline = time.monotonic() + timeout_s
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
                return ""
            if stop is not None and stop.is_set():
                _end(process)
                return "it was stopped"
            if time.monotonic() > deadline:
                _end(process)
                return f"it did not end within {timeout_s:g} s (--timeout)"
    except BaseException:  # after Ctrl-C no process may go on computing
        _end(process)
        raise


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a process and its children: first asks with SIGTERM, then kills."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    process.wait()


def _exit_failure(code: int, log: Path) -> str:
    if code == 0:
        return ""
    last = last_line(log)
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (often: out of memory)" if name == "SIGKILL" else ""
        return f"it was ended by {name}{hint}; last line: {last}"
    return f"it exited with {code}: {last}"


def last_line(log: Path) -> str:
    """The last line of a log that is not empty; for a traceback, this is the error."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines()]
    said = [line for line in lines if line]
    return said[-1][:300] if said else "it printed nothing"
