"""Where a result comes from: commit, package versions, machine, and the weights' sha256."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "diffusers", "transformers", "safetensors", "einops", "numpy", "av")


def provenance(device: str = "cpu") -> dict[str, Any]:
    """Facts about this run that a reader needs to repeat it.

    The number of threads and the CPU's instruction set are among them: sums round differently
    with others.
    """
    import torch  # noqa: PLC0415  (hashes and versions need none)

    return {
        "commit": git_commit(),
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": device,
        "threads": torch.get_num_threads(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
    }


@cache
def git_commit() -> str | None:
    """Commit of the checkout that this package runs from, `-dirty` if the package was edited.

    None if git does not track the package: a repository that merely surrounds the virtual
    environment says nothing about it.
    """
    package = Path(__file__).parents[1]
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git(package, "rev-parse", "HEAD")
    is_edited = _git(package, "status", "--porcelain", "--", ".")
    return f"{commit}-dirty" if commit and is_edited else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
