"""What the placeholders in a job's argv stand for on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from reports.plan.sources import package_root

DATA_VARIABLE = "HIAR_DATA"
DEFAULT_DATA = "~/.cache/hiar/data"


def data_folder(given: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """Returns the folder of prompt files and trained checkpoints that a user brings."""
    return (given or Path(environment.get(DATA_VARIABLE) or DEFAULT_DATA)).expanduser().resolve()


def code_paths() -> dict[str, str]:
    """Returns the interpreter, and the folder that holds the packages."""
    return {"python": sys.executable, "packages": str(package_root("hiar").parent)}


def local_paths(out: Path, data: Path | None = None) -> dict[str, str]:
    """Returns what every placeholder stands for.

    Args:
        out: The reproduction folder.
        data: The data folder; None takes the default one.
    """
    return {**code_paths(), "out": str(out), "data": str(data_folder(data))}
