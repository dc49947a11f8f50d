"""Where a result comes from: code, packages and kind of machine, but no host name and no path."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("hiar-toolkit", "av", "numpy", "opencv-python", "opencv-python-headless", "pyarrow")
LEARNED_PACKAGES = ("torch",)


def collect_provenance(*, learned: bool = False) -> dict[str, Any]:
    """Facts about the running code.

    Args:
        learned: Whether networks ran, so that torch is listed too.

    Returns:
        `git_commit` and `git_dirty` (None unless git tracks this package), `packages` (name ->
        version, None if absent), `python`, `platform`, `device`.
    """
    commit, dirty = _git_state()
    return {
        "git_commit": commit,
        "git_dirty": dirty,
        "packages": {name: _version(name) for name in PACKAGES + LEARNED_PACKAGES * learned},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": "cpu",
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_state() -> tuple[str | None, bool | None]:
    """Commit and whether this package differs from it; None if git does not track the package.

    A virtual environment may lie inside somebody else's repository, whose commit says nothing here.
    """
    here = Path(__file__).parent
    if _git(here, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None, None
    commit = _git(here, "rev-parse", "HEAD")
    changes = _git(here, "status", "--porcelain", "--", ".")
    return commit, None if changes is None else bool(changes)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
