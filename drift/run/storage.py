"""Copies of folders in object storage (`s3://`, `gs://`, `memory://` ...) on this machine.

Before the work, videos and the records of the run are copied to a cache folder; after it, the
results are copied back. Files that have not changed since an earlier copy are not copied again.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from drift.errors import UsageError
from drift.files import atomic_path, atomic_write_text

CACHE_VARIABLE = "DRIFT_REMOTE_CACHE"
DEFAULT_CACHE = "~/.cache/drift/remote"
INDEX = ".copied.json"
SENT = "sent: "
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://.+")


def location(text: str) -> Path | str:
    """A path of this machine, or an address unchanged."""
    return text if _ADDRESS.fullmatch(text) else Path(text)


@contextmanager
def on_this_machine(
    folders: Sequence[Path | str], out: Path | str
) -> Iterator[tuple[list[Path], Path]]:
    """Provides local copies of remote folders; the run is copied back even after an error.

    Args:
        folders: Paths or addresses of the folders of videos.
        out: Path or address of the run's folder.

    Yields:
        Local folders of the videos, and of the run.

    Raises:
        UsageError: an address cannot be read or written, or its package is not installed.
    """
    local = [folder if isinstance(folder, Path) else fetch(folder) for folder in folders]
    if isinstance(out, Path):
        yield local, out
        return
    run = fetch(out, missing_ok=True)
    run.mkdir(parents=True, exist_ok=True)
    try:
        yield local, run
    finally:
        send(run, out)


def fetch(address: str, *, missing_ok: bool = False) -> Path:
    """Copies the files of a remote folder that are new or changed to the cache.

    Args:
        address: Address of the folder.
        missing_ok: Accept an empty or missing folder.

    Returns:
        The local folder, with the same name as the remote one.

    Raises:
        UsageError: there is no such folder, or it cannot be read.
    """
    local = _cache_folder(address)
    with _storage(address) as (files, root):
        found = files.find(root, detail=True)
        if not found and not missing_ok:
            raise UsageError(f"{address}: no such folder, or it is empty; give one with videos")
        known, now = _read_index(local), {}
        for name, info in found.items():
            relative = _relative(name, root)
            now[relative] = _version(info)
            if known.get(relative) != now[relative] or not (local / relative).is_file():
                with atomic_path(local / relative) as temporary:
                    files.get_file(name, str(temporary))
        kept = {name: text for name, text in known.items() if name.startswith(SENT)}
        for relative in known.keys() - now.keys() - kept.keys():
            (local / relative).unlink(missing_ok=True)
    if now:
        _write_index(local, now | kept)
    return local


def send(local: Path, address: str) -> None:
    """Copies the files of a local folder that are new or changed to its address.

    Raises:
        UsageError: the address cannot be written.
    """
    with _storage(address) as (files, root):
        known, now = _read_index(local), {}
        for path in sorted(path for path in local.rglob("*") if path.is_file()):
            relative = path.relative_to(local).as_posix()
            if path.name.startswith("."):
                continue
            target = f"{root}/{relative}"
            state = path.stat()
            sent = f"{state.st_size} {state.st_mtime_ns}"
            if known.get(f"{SENT}{relative}") != sent or not files.exists(target):
                files.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
                files.put_file(str(path), target)
            now[f"{SENT}{relative}"] = sent
        files.invalidate_cache()
        now |= {_relative(n, root): _version(i) for n, i in files.find(root, detail=True).items()}
    _write_index(local, now)


def _cache_folder(address: str) -> Path:
    cache = Path(os.environ.get(CACHE_VARIABLE) or DEFAULT_CACHE).expanduser()
    digest = hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:16]
    return cache / digest / PurePosixPath(address.rstrip("/")).name


@contextmanager
def _storage(address: str) -> Iterator[tuple[Any, str]]:
    """File system and path of an address; errors within the block become a UsageError."""
    try:
        import fsspec  # noqa: PLC0415  (an extra)
    except ImportError:
        raise UsageError(
            f"{address}: object storage needs fsspec; pip install 'hiar-toolkit[cluster]'"
        ) from None
    try:
        files, root = fsspec.core.url_to_fs(address.rstrip("/"))
        files.invalidate_cache()
        yield files, root
    except UsageError:
        raise
    except ImportError as error:
        raise UsageError(f"{address}: {error}") from None
    except (OSError, ValueError, PermissionError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(f"{address}: {reason}; check address and credentials") from None


def _relative(name: str, root: str) -> str:
    return name.removeprefix(root).lstrip("/")


def _version(info: dict[str, Any]) -> str:
    """Size and stamp of a remote file, which change when the file does."""
    stamps = (info.get(key) for key in ("ETag", "md5Hash", "LastModified", "mtime", "created"))
    stamp = next((value for value in stamps if value), "")
    return f"{info.get('size')} {stamp}"


def _read_index(local: Path) -> dict[str, str]:
    try:
        known: dict[str, str] = json.loads((local.parent / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known


def _write_index(local: Path, index: dict[str, str]) -> None:
    atomic_write_text(local.parent / INDEX, json.dumps(index, indent=1) + "\n")
