"""Hashes of what jobs read: package files and sources, files that a user brings, versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from drift.errors import StorageError, UsageError
from drift.files import atomic_write_text, file_sha256


@cache
def package_root(package: str) -> Path:
    """Returns the folder of a top-level package without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"package {package!r} is not installed; run `pip install -e .` first")
    return Path(next(iter(spec.submodule_search_locations)))


def package_files(pattern: str) -> dict[str, Path]:
    """Finds package files.

    Args:
        pattern: Glob `package/path`, where `*` stands for a name and `**` for folders.

    Returns:
        Path by its name relative to the folder that holds the package, sorted.

    Raises:
        UsageError: Nothing matches.
    """
    package, _, rest = pattern.partition("/")
    root = package_root(package)
    found = sorted(path for path in root.glob(rest) if path.is_file())
    if not found:
        raise UsageError(f"{pattern}: no such file in the installed package; reinstall {package}")
    return {f"{package}/{path.relative_to(root).as_posix()}": path for path in found}


@cache
def source_sha256(package: str) -> str:
    """Returns one sha256 over the names and bytes of all Python sources of a package."""
    return _sha256_of(package, "*.py")


@cache
def files_sha256(package: str) -> str:
    """Returns one sha256 over the names and bytes of all files of a package."""
    return _sha256_of(package, "*")


def _sha256_of(package: str, pattern: str) -> str:
    root = package_root(package)
    digest = hashlib.sha256()
    for path in sorted(root.rglob(pattern)):
        if path.is_file() and "__pycache__" not in path.parts:
            name = path.relative_to(root).as_posix()
            digest.update(f"{name}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def data_sha256(path: Path) -> str:
    """Hashes a file that a user brings; it is read again only if its size or time has changed.

    Args:
        path: The file. A hidden record of the hash is written beside it where that is allowed.
    """
    state = path.stat()
    key = {"num_bytes": state.st_size, "mtime_ns": state.st_mtime_ns}
    record = path.with_name(f".{path.name}.sha256.json")
    with suppress(OSError, ValueError):
        known = json.loads(record.read_text(encoding="utf-8"))
        if {name: known.get(name) for name in key} == key:
            return str(known["sha256"])
    sha256 = file_sha256(path)
    with suppress(OSError, StorageError):
        atomic_write_text(record, json.dumps({**key, "sha256": sha256}) + "\n")
    return sha256


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Returns versions of installed packages, as inputs of the jobs that run on them."""
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[f"version of {name}"] = version(name)
    return found
