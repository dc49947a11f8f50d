"""Writing files so that no reader ever sees half of one, and clearing away what a kill left.

What is being written has a hidden name, `.NAME.HOST.PROCESS.part`, and its writer holds a lock on
it. The kernel lifts the lock when the process ends, however it ends, so a name without a lock
belongs to a process that is gone. The host is in the name because a disk that several hosts share
may keep the locks of each to itself: nobody removes what another host began.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
"""Stands for this host in temporary names; a hash, since a name of 64 letters may not fit."""
SUFFIX = ".part"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A hidden `.part` path beside `path`, renamed to it on success, removed on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{HOST}.{os.getpid()}{SUFFIX}")
    try:
        with _created_locked(temporary):
            yield temporary
            temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        unnamed = ("None", str(temporary))  # a write that fails names no file
        if isinstance(error, OSError) and error.errno and str(error.filename) in unnamed:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextmanager
def working_folder(parent: Path) -> Iterator[Path]:
    """A hidden folder for files that nobody needs afterwards, removed at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".work.{HOST}.", suffix=SUFFIX, dir=parent))
    lock = os.open(folder, os.O_RDONLY)
    try:
        _try_lock(lock)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def atomic_write_text(path: Path, text: str) -> None:
    """Write a text file in one piece."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_leftovers(folder: Path) -> None:
    """Remove what processes of this host were writing into a folder when they were killed.

    Safe while others write there: what they write is locked. A disk without locks keeps its
    leftovers, and so does a folder whose writers ran on hosts of other names.

    Args:
        folder: Folder of a run, which need not exist. Its sub-folders are not looked into.
    """
    for path in folder.glob(f".*.{HOST}.*{SUFFIX}"):
        is_folder = path.is_dir()
        with suppress(OSError):  # it is gone, of another user, locked, or cannot be locked
            lock = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not _is_still(path, lock):
                    continue
                if is_folder:
                    shutil.rmtree(path)
                else:
                    path.unlink()
            finally:
                os.close(lock)


@contextmanager
def _created_locked(path: Path) -> Iterator[None]:
    """An empty file that `remove_leftovers` lets alone within the block."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        _try_lock(lock)
        if _is_still(path, lock):
            break
        os.close(lock)  # removed between its creation and its lock
    try:
        os.ftruncate(lock, 0)  # a killed process of the same number may have begun it
        yield
    finally:
        os.close(lock)


def _try_lock(lock: int) -> None:
    """Wait for the lock; a disk that knows no locks is none to fail for."""
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX)


def _is_still(path: Path, lock: int) -> bool:
    """Whether a path still names the file that a descriptor has open."""
    try:
        return os.path.samestat(path.stat(), os.fstat(lock))
    except FileNotFoundError:
        return False
