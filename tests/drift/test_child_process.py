"""A child process ends with us, however we end, and takes its own children with it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from killed import is_alive

from drift.child_process import ChildProcess, StoppedError, last_line, signal_name

# Starts a child of its own that sleeps, writes both process numbers to a file, and sleeps.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1] + ".part", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(600)
"""
PARENT = """
import os, sys
from drift.child_process import ChildProcess
process = ChildProcess([sys.executable, *sys.argv[1:]], sys.stderr.buffer, os.environ)
process.wait(0.1)
"""


def start(code: str, log: Path, *arguments: str, takes_input: bool = False) -> ChildProcess:
    with log.open("ab") as output:
        argv = [sys.executable, "-c", code, *arguments]
        return ChildProcess(argv, output, os.environ, takes_input=takes_input)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def family(path: Path) -> list[int]:
    assert wait_for(path.exists)
    return [int(number) for number in path.read_text().split()]


@pytest.mark.parametrize("code", [0, 7])
def test_exit_code_and_both_streams_are_kept(tmp_path: Path, code: int) -> None:
    log = tmp_path / "log"
    said = f"import sys; print('out', flush=True); sys.stderr.write('err\\n'); sys.exit({code})"
    with start(said, log) as process:
        assert process.wait(0.05) == code
    assert log.read_text() == "out\nerr\n"
    assert last_line(log) == "err"


def test_a_signal_has_its_name_and_a_missing_program_the_code_of_a_shell(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with start("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", log) as process:
        code = process.wait(0.05)
    assert code is not None
    assert (code, signal_name(code), signal_name(7)) == (128 + signal.SIGKILL, "SIGKILL", None)
    with log.open("ab") as output, ChildProcess(["/no/such/program"], output, {}) as process:
        assert process.wait(0.05) == 127
    assert "/no/such/program" in last_line(log)


def test_lines_reach_the_command(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with start("print(input()[::-1])", log, takes_input=True) as process:
        process.send("abc")
        assert process.wait(0.05) == 0
        process.send("nobody listens")
    assert log.read_text() == "cba\n"


def test_waiting_ends_by_a_condition_a_limit_or_an_event(tmp_path: Path) -> None:
    stop, ticks = threading.Event(), list[float]()
    with start("import time; time.sleep(600)", tmp_path / "log") as process:
        assert process.wait(0.01, until=lambda: len(ticks) > 1, tick=ticks.append) is None
        assert process.exit_code is None
        with pytest.raises(TimeoutError):
            process.wait(0.01, timeout_s=0.05)
        stop.set()
        with pytest.raises(StoppedError):
            process.wait(0.01, stop=stop)
    assert process.exit_code is not None
    assert ticks == sorted(ticks)


def test_stopping_ends_the_whole_family(tmp_path: Path) -> None:
    with start(FAMILY, tmp_path / "log", str(tmp_path / "pids")) as process:
        members = family(tmp_path / "pids")
        assert all(map(is_alive, members))
        process.stop()
        process.stop()  # a second time does nothing
    assert wait_for(lambda: not any(map(is_alive, members)))


def test_the_family_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", PARENT, "-c", FAMILY, str(tmp_path / "pids")]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as parent:
        members = family(tmp_path / "pids")
        parent.kill()
    assert wait_for(lambda: not any(map(is_alive, members)))
