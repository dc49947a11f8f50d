"""Files that appear whole or not at all, JSON without NaN, and hashes.

What is being written has a hidden name, `.STEM.HOST.PROCESS.tmp.SUFFIX`, and its writer holds a
lock on it. The kernel lifts the lock when the process ends, however it ends, so a name without a
lock belongs to a process that is gone. The host is in the name because a disk that several hosts
share may keep the locks of each to itself: nobody removes what another host began.
"""

import errno
import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from drift.errors import StorageError, UsageError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
FIGURE_DPI = 150


def write_figure(path: Path, figure: Any) -> None:
    """Writes a figure of matplotlib, which appears whole or not at all.

    Args:
        path: A file that matplotlib can write: png, svg or pdf.
        figure: The figure.

    Raises:
        UsageError: matplotlib cannot write the format.
    """
    if path.suffix.lower().lstrip(".") not in figure.canvas.get_supported_filetypes():
        raise UsageError(f"{path}: pictures are png, svg or pdf; name such a file")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=FIGURE_DPI)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Gives a temporary name beside `path`, renamed to `path` on success and removed on failure.

    Args:
        path: Final name; its folder is made if need be.

    Yields:
        The temporary name, with the same suffix, for the caller to write.

    Raises:
        StorageError: the disk is full, or the quota used up.
    """
    temporary = path.with_name(f".{path.stem}.{HOST}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _created_locked(temporary):
                yield temporary
                temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.errno not in DISK_FULL:
            unnamed = ("None", str(temporary))  # a write that fails names no file
            if error.errno and str(error.filename) in unnamed:
                raise OSError(error.errno, error.strerror, str(path)) from error
            raise
        raise StorageError(
            f"{path}: {error.strerror}; make room and give the same command again: it goes on "
            "from what was measured"
        ) from error


def remove_leftovers(*folders: Path) -> None:
    """Removes what processes of this host were writing when they were killed.

    Safe while others write there: what they write is locked. A disk without locks keeps its
    leftovers, and so does a folder whose writers ran on hosts of other names.

    Args:
        folders: Folders of a run; none need exist. Folders in them are not looked into.
    """
    for path in (path for folder in folders for path in folder.glob(f".*.{HOST}.*.tmp*")):
        with suppress(OSError):  # it is gone, of another user, locked, or cannot be locked
            lock = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_still(path, lock):
                    path.unlink()
            finally:
                os.close(lock)


@contextmanager
def _created_locked(path: Path) -> Iterator[None]:
    """An empty file that `remove_leftovers` lets alone within the block."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        with suppress(OSError):  # a disk that knows no locks is none to fail for
            fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_still(path, lock):
            break
        os.close(lock)  # removed between its creation and its lock
    try:
        os.ftruncate(lock, 0)  # a killed process of the same number may have begun it
        yield
    finally:
        os.close(lock)


def _is_still(path: Path, lock: int) -> bool:
    """Whether a path still names the file that a descriptor has open."""
    try:
        return os.path.samestat(path.stat(), os.fstat(lock))
    except FileNotFoundError:
        return False


def atomic_write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text so that `path` holds either the old or the whole new text."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def dump_json(data: object) -> str:
    """JSON text of a result; a number that is not finite is an error, never `NaN` in a file.

    Raises:
        ValueError: a NaN or an infinity.
    """
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def file_sha256(path: Path) -> str:
    """Hash of a file's content, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
