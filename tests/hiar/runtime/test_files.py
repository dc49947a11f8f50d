"""Whole files or none, and what a killed process leaves: real processes and a real SIGKILL."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from killed import leave_behind, writing

from hiar.runtime.files import (
    HOST,
    atomic_path,
    atomic_write_text,
    remove_leftovers,
    working_folder,
)


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    atomic_write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [found.name for found in path.parent.iterdir()] == ["file.txt"]


def test_a_working_folder_is_gone_afterwards(tmp_path: Path) -> None:
    with working_folder(tmp_path / "new") as folder:
        (folder / "frames.npy").write_bytes(b"many")
        remove_leftovers(folder.parent)
        assert (folder / "frames.npy").exists()
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("function", ["atomic_path", "working_folder"])
def test_only_what_a_dead_process_left_is_removed(tmp_path: Path, function: str) -> None:
    with writing("hiar.runtime.files", tmp_path / "run", function) as temporary:
        remove_leftovers(temporary.parent)
        assert temporary.exists()  # its writer lives
        by_hand = tmp_path / ".notes.txt"
        by_hand.write_text("mine")
    assert temporary.exists()  # SIGKILL leaves no time to tidy up
    remove_leftovers(temporary.parent)
    assert not temporary.exists()
    assert by_hand.exists()


def test_what_another_host_began_is_let_alone(tmp_path: Path) -> None:
    """Its locks may not reach us: a dead writer and a live one look the same from here."""
    temporary = leave_behind("hiar.runtime.files", tmp_path / "video.mp4")
    other = temporary.rename(tmp_path / temporary.name.replace(HOST, "0123abcd"))
    remove_leftovers(tmp_path)
    assert other.exists()


def test_a_file_begun_by_a_dead_process_of_the_same_number_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / f".a.txt.{HOST}.{os.getpid()}.part").write_text("a longer half")
    with atomic_path(tmp_path / "a.txt") as temporary:
        assert temporary.read_text() == ""
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_missing_folder_has_no_leftovers(tmp_path: Path) -> None:
    remove_leftovers(tmp_path / "none")


def test_writers_and_sweepers_do_not_harm_one_another(tmp_path: Path) -> None:
    """A sweep in the moment between the creation of a file and its lock costs the writer nothing.

    Two processes write files as fast as they can while this one sweeps as fast as it can.
    """
    code = (
        "import sys; from pathlib import Path; from hiar.runtime.files import atomic_write_text\n"
        "for i in range(400): atomic_write_text(Path(sys.argv[1]), str(i))"
    )
    root = Path(__file__).parents[3]
    argv = [sys.executable, "-c", code]
    writers = [
        subprocess.Popen([*argv, str(tmp_path / name)], cwd=root, stderr=subprocess.PIPE)
        for name in ("a", "b")
    ]
    deadline = time.monotonic() + 60
    while any(writer.poll() is None for writer in writers) and time.monotonic() < deadline:
        remove_leftovers(tmp_path)
    for writer in writers:
        _, said = writer.communicate(timeout=60)
        assert writer.returncode == 0, said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_two_threads_that_write_one_file_take_turns(tmp_path: Path) -> None:
    def write(letter: str) -> Callable[[], None]:
        def repeat() -> None:
            for _ in range(50):
                atomic_write_text(tmp_path / "file", letter * 1000)

        return repeat

    threads = [threading.Thread(target=write(letter)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert (tmp_path / "file").read_text() in ("a" * 1000, "b" * 1000)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
