"""Fetch what is missing of the published weights, with progress, and say what is there."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hiar.weights.local import PartStatus
    from hiar.weights.releases import Part


SCHEMA = "hiar-weights/1"


OK = 0


def fetch_parts(parts: tuple[Part, ...], folder: Path, arguments: argparse.Namespace) -> int:
    """Fetch every file that is not there."""
    from hiar.runtime.progress import Progress  # noqa: PLC0415
    from hiar.weights.download import fetch_file  # noqa: PLC0415
    from hiar.weights.hub import list_remote, local_path  # noqa: PLC0415
    from hiar.weights.local import CHUNK_BYTES, check_part, is_filled  # noqa: PLC0415

    made = there = 0
    for part in parts:
        for remote in list_remote(part.file):
            target = local_path(part.file, remote, folder)
            if is_filled(target) and remote.num_bytes in (None, target.stat().st_size):
                there += 1
                continue
            progress = Progress(f"{target.name}, MiB", sys.stderr)
            progress.start((remote.num_bytes or 0) // CHUNK_BYTES)
            pieces = _Pieces(progress, CHUNK_BYTES)
            fetch_file(remote, target, on_bytes=pieces.add if remote.num_bytes else _ignore)
            progress.finish()
            made += 1
    if arguments.json:
        rows = [describe(check_part(part, folder)) for part in parts]
        print_rows(folder, rows, fetched=made, already_there=there)
        return OK
    sys.stdout.write(f"{made} files fetched, {there} there already, in {folder}\n")
    return OK


def _ignore(num_bytes: int) -> None:
    """Show no progress towards an unknown size."""


class _Pieces:
    """Turns bytes into units of progress."""

    def __init__(self, progress: Any, unit_bytes: int) -> None:
        self._progress, self._unit, self._rest = progress, unit_bytes, 0

    def add(self, num_bytes: int) -> None:
        self._rest += num_bytes
        while self._rest >= self._unit:
            self._rest -= self._unit
            self._progress.advance()


def describe(status: PartStatus) -> dict[str, Any]:
    """The JSON object of one part."""
    from hiar.weights.local import part_records  # noqa: PLC0415

    return {
        "name": status.part.key,
        "present": status.present,
        "target": str(status.target),
        "address": status.part.file.address,
        "licence": status.part.licence,
        "enables": status.part.enables,
        "num_bytes": status.num_bytes if status.present else None,
        "expected_bytes": status.part.num_bytes,
        "sha256": {name: record.sha256 for name, record in part_records(status).items()},
    }


def print_rows(folder: Path, rows: list[dict[str, Any]], **more: Any) -> None:
    """Print the record of some parts as JSON."""
    record = {"schema": SCHEMA, "weights_folder": str(folder), **more, "weights": rows}
    sys.stdout.write(json.dumps(record, indent=1) + "\n")
