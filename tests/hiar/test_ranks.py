"""How a process that joined others ends."""

import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys, types
from hiar.ranks import leave
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
