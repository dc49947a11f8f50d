"""An environment of an external program, with this interpreter and code of the test's own."""

import sys
from pathlib import Path


def make_environment(folder: Path, files: dict[str, str]) -> Path:
    """An environment whose interpreter is this one, which also finds this toolkit."""
    python = folder / "venv/bin/python"
    python.parent.mkdir(parents=True)
    root = Path(__file__).resolve().parents[2]
    python.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="$PYTHONPATH:{root}"\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    for name, content in files.items():
        path = folder / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder
