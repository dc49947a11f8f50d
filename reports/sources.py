"""Hashes of what a job depends on: package files, package sources, output folders."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from drift.errors import UsageError
from drift.records import file_sha256


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
        pattern: `package/path`, where `*` and `**` stand for names and folders.

    Returns:
        Path by its name relative to the folder that holds the package, sorted.

    Raises:
        UsageError: When nothing matches.
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
    root = package_root(package)
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def hash_outputs(root: Path, outputs: tuple[str, ...]) -> dict[str, str]:
    """Hashes a job's outputs.

    Args:
        root: The reproduction folder.
        outputs: Files or folders relative to `root`.

    Returns:
        sha256 by path relative to `root`; a missing output has no entry.
    """
    files: list[Path] = []
    for output in outputs:
        path = root / output
        files += [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return {path.relative_to(root).as_posix(): file_sha256(path) for path in sorted(files)}
