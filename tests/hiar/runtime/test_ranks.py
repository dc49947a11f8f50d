"""How a process that joined others ends."""

import os
import signal
import subprocess
import sys

import pytest

from hiar.cli import doctor
from hiar.cli.main import main

PROGRAM = """
import atexit, sys, types
from hiar.runtime.ranks import leave
{sharded}
atexit.register(print, "finalised")
print("done", end=" ")
leave(3)
"""


@pytest.mark.parametrize(
    ("sharded", "printed"),
    [
        pytest.param("", "done finalised\n", id="alone"),
        pytest.param('sys.modules["torch.distributed.fsdp"] = types', "done ", id="sharded"),
    ],
)
def test_leaves_with_the_code_and_what_was_printed(sharded: str, printed: str) -> None:
    """Sharded networks skip the interpreter's finalization, not their output or exit code."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(sharded=sharded)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 3, run.stderr
    assert run.stdout == printed


@pytest.mark.parametrize(
    ("num_ranks", "number", "said"),
    [
        pytest.param("1", signal.SIGTERM, True, id="alone"),
        pytest.param("4", signal.SIGTERM, False, id="stopped by torchrun"),
        pytest.param("4", signal.SIGINT, True, id="at the keyboard"),
    ],
)
def test_a_rank_that_torchrun_stops_leaves_the_word_to_the_one_that_ended(
    num_ranks: str,
    number: signal.Signals,
    said: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 130 in every case."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("WORLD_SIZE", num_ranks)
    monkeypatch.setattr(doctor, "run", lambda args: os.kill(os.getpid(), number))
    try:
        assert main(["doctor"]) == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert bool(capsys.readouterr().err) == said
