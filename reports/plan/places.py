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
    """The folder of prompt files and trained checkpoints that a user brings."""
    return (given or Path(environment.get(DATA_VARIABLE) or DEFAULT_DATA)).expanduser().resolve()


def code_places() -> dict[str, str]:
    """The interpreter, and the folder that holds the packages."""
    return {"python": sys.executable, "packages": str(package_root("hiar").parent)}


def local_places(out: Path, data: Path | None = None) -> dict[str, str]:
    """All of them.

    Args:
        out: The reproduction folder.
        data: The data folder; None is the default one.
    """
    return {**code_places(), "out": str(out), "data": str(data_folder(data))}
