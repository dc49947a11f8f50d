"""Runs the runner script inside the isolated environment: one process, one JSON file each way."""

import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from drift.child_process import ChildProcess, StoppedError, last_line, signal_name
from eval.errors import IsolatedError
from eval.upstream.weights import VARIABLES, Root, weight_roots

RUNNER = Path(__file__).parent / "isolated" / "runner.py"
POLL_S = 0.5


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
        if not python_of(environment).is_file():
            raise IsolatedError(
                f"{python_of(environment)} is missing: make the environment with "
                "`hiar-vbench setup`"
            )
        with (
            log.open("wb") as output,
            ChildProcess(
                list(map(str, command)),
                output,
                isolated_variables(environment) | dict(variables or {}),
            ) as process,
        ):
            failure = _wait(process, timeout_s, stop, log)
        answer = None
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


def _wait(process: ChildProcess, timeout_s: float, stop: Event | None, log: Path) -> str:
    """Wait for the end of the process; returns why it failed, empty if it did not."""
    try:
        code = process.wait(POLL_S, timeout_s=timeout_s, stop=stop)
    except StoppedError:
        return "it was stopped"
    except TimeoutError:
        return f"it did not end within {timeout_s:g} s (--timeout)"
    if not code:
        return ""
    last = last_line(log) or "it printed nothing"
    name = signal_name(code)
    if name is None:
        return f"it exited with {code}: {last}"
    hint = " (often: out of memory)" if name == "SIGKILL" else ""
    return f"it was ended by {name}{hint}; last line: {last}"
