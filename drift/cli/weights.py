"""`drift weights list|fetch|verify`: handles the published weights of the learned metrics."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drift.cli.networks import add_weights_dir
from drift.command_line import FAILED, OK
from drift.errors import UsageError
from drift.files import dump_json
from drift.metrics.weights.local import (
    MIB,
    OFFLINE_VARIABLES,
    WEIGHTS,
    WeightFile,
    address,
    content_sha256,
    default_names,
    fetch,
    find_file,
    is_offline,
    state_of,
    weights_folder,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = (
        "The published weights that the learned metrics load. list: what is "
        "here and what is missing. fetch: download and check, into the Hugging Face cache unless a "
        "folder is named. "
        "verify: compare every file that is here with its published hash."
    )
    parser.add_argument(
        "action", choices=("list", "fetch", "verify"),
        help="say what is here and what is missing, download it, or check what is here",
    )  # fmt: skip
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="which weights (default: all; fetch: those of the score, in their default variants)",
    )
    add_weights_dir(parser)


def run(arguments: argparse.Namespace) -> int:
    """Lists, fetches or verifies weights."""
    folder = weights_folder(arguments.weights_dir)
    fetching = arguments.action == "fetch"
    chosen = _chosen(arguments.names, default_names() if fetching else tuple(WEIGHTS))
    if fetching:
        return _fetch(chosen, folder)
    verifying = arguments.action == "verify"
    rows = [describe(weight, folder, hashed=verifying) for weight in chosen]
    if arguments.json:
        sys.stdout.write(dump_json({"schema": "drift-weights/1", "weights": rows}))
    else:
        sys.stdout.write("\n".join((f"weights in {folder}", *map(_line, rows))) + "\n")
    bad = [row for row in rows if row["state"] == "damaged"]
    bad += [row for row in rows if row["state"] == "missing" and arguments.names]
    return FAILED if verifying and bad else OK


def describe(weight: WeightFile, folder: Path, *, hashed: bool) -> dict[str, Any]:
    """Describes one weight file.

    Args:
        weight: Weight file to describe.
        folder: Folder of the weights.
        hashed: Read the file and compare its hash; else it counts as present if it exists.

    Returns:
        Data for JSON. `state` is present, missing or damaged; `verified` says whether the hash was
        compared.
    """
    path = find_file(weight, folder)
    state = state_of(weight, folder) if hashed else ("present" if path else "missing")
    return {
        "name": weight.name,
        "state": state,
        "verified": bool(hashed and state == "present"),
        "path": str(path or folder / weight.file),
        "address": address(weight),
        "size_mib": path.stat().st_size / MIB if path else weight.size_mib,
        "published_sha256": weight.sha256,
        "sha256": content_sha256(path) if hashed and path else None,
        "licence": weight.licence,
        "used_by": list(weight.used_by),
    }


def _line(row: dict[str, Any]) -> str:
    """One line about a weight file; a missing one comes with its address."""
    used, size = ", ".join(row["used_by"]), f"{row['size_mib']:.3g} MiB"
    if row["state"] == "missing":
        return f"  {row['name']:14} missing  {size:9} disables {used}; {row['address']}"
    note = row["path"]
    if row["state"] == "damaged":
        note += f": sha256 is {row['sha256']}, published {row['published_sha256']}"
    elif row["sha256"]:
        note += f": sha256 {row['sha256']}"
    return f"  {row['name']:14} {row['state']:8} {size:9} {used}; {note}"


def _chosen(names: Sequence[str], default: Sequence[str]) -> list[WeightFile]:
    unknown = [name for name in names if name not in WEIGHTS]
    if unknown:
        choices = ", ".join(WEIGHTS)
        raise UsageError(f"weights {unknown[0]!r} are unknown; choose from {choices}")
    return [WEIGHTS[name] for name in dict.fromkeys(names or default)]


def _fetch(weights: Sequence[WeightFile], folder: Path) -> int:
    from drift.metrics.weights.download import DownloadError  # noqa: PLC0415

    wanted = [weight for weight in weights if state_of(weight, folder) != "present"]
    for weight in weights:
        if weight not in wanted:
            sys.stdout.write(f"{weight.name}: here already, {find_file(weight, folder)}\n")
    if wanted and is_offline():
        raise UsageError(
            f"{' or '.join(OFFLINE_VARIABLES)} forbids downloads; unset it, or copy the files to "
            f"{folder} by hand: {', '.join(weight.file for weight in wanted)}"
        )
    failed = False
    for weight in wanted:
        try:
            path = fetch(weight, folder)
            sys.stdout.write(f"{weight.name}: {path}, sha256 {content_sha256(path)}\n")
        except DownloadError as error:
            failed = True
            sys.stderr.write(f"drift weights: {weight.name}: {error}\n")
    return FAILED if failed else OK
