"""Processes that end: whether one is gone, and what one leaves that is killed while it writes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
WRITER = """
import sys, time
from pathlib import Path
from {module} import {function}
with {function}(Path(sys.argv[1])) as path:
    (path / "half" if path.is_dir() else path).write_text("half")
    print(path, flush=True)
    time.sleep(600)
"""


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@contextmanager
def writing(module: str, target: Path, function: str = "atomic_path") -> Iterator[Path]:
    """A process that is writing `target` through a context manager of `module`.

    Yields:
        The temporary path. The process is killed by SIGKILL when the block ends.
    """
    argv = [sys.executable, "-c", WRITER.format(module=module, function=function), str(target)]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as process:
        try:
            assert process.stdout is not None
            yield Path(process.stdout.readline().rstrip("\n"))
        finally:
            process.kill()


def leave_behind(module: str, target: Path, function: str = "atomic_path") -> Path:
    """The temporary path that a process killed while it wrote `target` has left."""
    with writing(module, target, function) as path:
        pass
    assert path.exists()
    return path


def kill_while_it_writes(argv: Sequence[str], folder: Path) -> list[Path]:
    """Starts a command and kills it as soon as a hidden file is in its folder; what it has left."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        argv,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + 120
            while not list(folder.glob(".*")):
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            process.kill()
    left = list(folder.glob(".*"))
    assert left
    return left
