"""`hiar weights list | fetch | verify`: what is here, get what is missing, check what is here."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiar.errors import UsageError

if TYPE_CHECKING:
    from hiar.weights.download import RemoteFile
    from hiar.weights.local import PartStatus
    from hiar.weights.releases import Part
from hiar.weights.fetching import OK, describe, fetch_parts, print_rows

FAILED = 1
ACTIONS = ("list", "fetch", "verify")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `hiar weights`."""
    parser.description = (
        "Published weights: list them, fetch them, or read them whole and compare their sha256 "
        "with what was fetched. A release's name (hiar, self-forcing, ...) stands for all it needs."
    )
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("names", nargs="*", metavar="NAME", help="releases or weights; none = all")
    add_folder_argument(parser)
    parser.add_argument(
        "--online", action="store_true",
        help="verify: ask publishers for the hashes of files that were put there by hand",
    )  # fmt: skip


def add_folder_argument(parser: argparse.ArgumentParser) -> None:
    """`--weights-dir`, as every command that reads weights has it."""
    parser.add_argument(
        "--weights-dir", type=Path, metavar="DIR",
        help="where weights are (default: $HIAR_WEIGHTS, or ~/.cache/hiar/weights)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Run `hiar weights`."""
    from hiar.weights.local import weights_folder  # noqa: PLC0415
    from hiar.weights.releases import PARTS, parts_of  # noqa: PLC0415

    folder = weights_folder(arguments.weights_dir)
    named = [part for name in arguments.names for part in parts_of(name)]
    if arguments.action == "fetch" and not named:
        raise UsageError("name what to fetch, such as: hiar weights fetch hiar; see weights list")
    if arguments.online and arguments.action != "verify":
        raise UsageError(f"--online is for verify, not for {arguments.action}: leave it out")
    parts = tuple(dict.fromkeys(named or PARTS))
    actions = {"list": list_parts, "fetch": fetch_parts, "verify": verify_parts}
    return actions[arguments.action](parts, folder, arguments)


def list_parts(parts: tuple[Part, ...], folder: Path, arguments: argparse.Namespace) -> int:
    """Print what is there."""
    from hiar.weights.local import check_part  # noqa: PLC0415

    statuses = [check_part(part, folder) for part in parts]
    if arguments.json:
        print_rows(folder, [describe(status) for status in statuses])
        return OK
    sys.stdout.write(f"weights folder: {folder}\n\n")
    sys.stdout.write("name                      here       size      licence\n")
    for status in statuses:
        sys.stdout.write(
            f"{status.part.key:25} {'yes' if status.present else 'no':3} {_size(status):>10}"
            f"      {status.part.licence}\n"
        )
    sys.stdout.write("(~ from the parameter count, in float32; a repository may hold bfloat16)\n")
    missing = [status for status in statuses if not status.present]
    if missing:
        sys.stdout.write("\nmissing, address -> target:\n")
    for status in missing:
        sys.stdout.write(f"  {status.part.file.address} -> {status.target}\n")
    if missing:
        sys.stdout.write("fetch them with: hiar weights fetch NAME...\n")
    return OK


def verify_parts(parts: tuple[Part, ...], folder: Path, arguments: argparse.Namespace) -> int:
    """Read every file that is there and say whether it is what it should be."""
    from hiar.weights.local import (  # noqa: PLC0415
        check_part,
        make_record,
        part_files,
        verify_file,
        write_record,
    )

    rows: list[dict[str, Any]] = []
    for part in parts:
        if not check_part(part, folder).present:
            if arguments.names:
                rows.append({"name": part.key, "path": None, "verdict": "missing", "sha256": None})
            continue
        stated = _remote_files(part, folder) if arguments.online else {}
        for path in part_files(part, folder):
            remote = stated.get(path)
            verdict, sha256 = verify_file(path, remote.stated if remote else None)
            if remote and verdict == "ok":  # from now on it need not be read to be known
                write_record(path, make_record(
                    path, sha256=sha256, address=remote.address, checked_against=remote.hash_kind
                ))  # fmt: skip
            rows.append({"name": part.key, "path": str(path), "verdict": verdict, "sha256": sha256})
    good = all(row["verdict"] in ("ok", "unverified") for row in rows)
    if arguments.json:
        print_rows(folder, rows)
        return OK if good else FAILED
    for row in rows:
        where = row["path"] or f"fetch it with: hiar weights fetch {shlex.quote(row['name'])}"
        sys.stdout.write(f"{row['verdict']:10}  {row['name']:25} {where}\n")
    if not rows:
        sys.stdout.write(f"nothing to verify in {folder}\n")
    if any(row["verdict"] == "unverified" for row in rows):
        sys.stdout.write(
            "unverified: put there by hand, whole as far as its format shows; compare its sha256 "
            "(--json) with its publisher's, or use --online\n"
        )
    return OK if good else FAILED


def _remote_files(part: Part, folder: Path) -> dict[Path, RemoteFile]:
    """What the publisher states of each local file."""
    from hiar.weights.hub import list_remote, local_path  # noqa: PLC0415

    return {local_path(part.file, remote, folder): remote for remote in list_remote(part.file)}


def _size(status: PartStatus) -> str:
    if status.present:
        return f"{status.num_bytes / 1e9:.2f} GB"
    return f"~{status.part.num_bytes / 1e9:.1f} GB" if status.part.num_bytes else "?"
