"""Files that appear whole or not at all, JSON without NaN, and hashes."""

import errno
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drift.errors import StorageError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


STALE_S = 3600.0  # no write takes an hour: an older temporary file is of a process that was killed


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
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise StorageError(
            f"{path}: {error.strerror}; make room and give the same command again: it goes on "
            "from what was measured"
        ) from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def remove_stale_temporaries(run: Path) -> None:
    """Removes what killed processes left half-written in a run."""
    for folder in (run, run / "records"):
        for path in folder.glob(".*.tmp*"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > STALE_S:
                    path.unlink()


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
