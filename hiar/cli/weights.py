"""`hiar weights list | fetch | verify`: what is here, get what is missing, check what is here."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiar.errors import UsageError
from hiar.weights.download import MAIN

if TYPE_CHECKING:
    from hiar.weights.local import WeightStatus
    from hiar.weights.releases import Part

OK, FAILED = 0, 1
ACTIONS = ("list", "fetch", "verify")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `hiar weights`."""
    parser.description = (
        "Published weights: list them, fetch them, or read them whole and compare their sha256 "
        "with what was fetched. A release's name (hiar, self-forcing, ...) stands for all it needs."
    )
    parser.add_argument(
        "action", choices=ACTIONS,
        help="say what is here and what is missing, download it, or check what is here",
    )  # fmt: skip
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
        help="folder of weights, looked into before the Hugging Face cache; fetch fills it if it "
        "is named, else that cache (default: $HIAR_WEIGHTS, or ~/.cache/hiar/weights)",
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
    if arguments.action == "fetch":
        from hiar.weights.fetching import fetch_groups  # noqa: PLC0415

        return fetch_groups([(part,) for part in parts], folder, arguments)
    actions = {"list": list_parts, "verify": verify_parts}
    return actions[arguments.action](parts, folder, arguments)


def list_parts(parts: tuple[Part, ...], folder: Path, arguments: argparse.Namespace) -> int:
    """Print what is there."""
    from hiar.weights.fetching import describe, print_rows  # noqa: PLC0415
    from hiar.weights.local import describe_missing, find  # noqa: PLC0415

    statuses = [(part, find(part.file, folder)) for part in parts]
    if arguments.json:
        print_rows(folder, [describe(part, status) for part, status in statuses])
        return OK
    sys.stdout.write(f"weights folder: {folder}\n\n")
    sys.stdout.write("name                      here       size      licence\n")
    for part, status in statuses:
        sys.stdout.write(
            f"{part.key:25} {'yes' if status.present else 'no':3} {_size(part, status):>10}"
            f"      {part.licence}\n"
        )
    sys.stdout.write("(~ from the parameter count, in float32; a repository may hold bfloat16)\n")
    for part, status in statuses:
        if status.path and folder not in status.path.parents:
            sys.stdout.write(f"{_cached(part, status)}\n")
    missing = [status for _, status in statuses if not status.present]
    if missing:
        sys.stdout.write("\nmissing, address -> target:\n")
    for status in missing:
        sys.stdout.write(f"  {describe_missing(status)}\n")
    if missing:
        sys.stdout.write("fetch them with: hiar weights fetch NAME...\n")
    return OK


def _cached(part: Part, status: WeightStatus) -> str:
    """Where a part lies that another tool fetched, and a remark if it is of another revision."""
    pinned, found = part.file.revision, status.cached_revision
    other = f", revision {(found or '')[:7]}, not the pinned {pinned[:7]}: verify --online compares"
    return f"{part.key} is in {status.path}{other if found and pinned not in (MAIN, found) else ''}"


def verify_parts(parts: tuple[Part, ...], folder: Path, arguments: argparse.Namespace) -> int:
    """Read every file that is there and say whether it is what it should be."""
    from hiar.weights.fetching import print_rows  # noqa: PLC0415
    from hiar.weights.local import find  # noqa: PLC0415

    rows: list[dict[str, Any]] = []
    for part in parts:
        status = find(part.file, folder)
        if status.present:
            rows += _verified(part, status, ask=arguments.online)
        elif arguments.names:
            rows.append({"name": part.key, "path": None, "verdict": "missing", "sha256": None})
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


def _verified(part: Part, status: WeightStatus, *, ask: bool) -> list[dict[str, Any]]:
    """The verdict on each file of a part, if need be after asking its publisher for hashes."""
    from hiar.weights.fetching import list_files, stated_hash  # noqa: PLC0415
    from hiar.weights.records import make_record, verify_file, write_record  # noqa: PLC0415

    file = part.file
    assert status.path is not None
    base = status.path if file.is_folder else status.path.parent
    stated = {} if file.stated is None else {status.path: file.stated}
    if ask and file.host == "hub":
        entries = list_files(file)
        inside = file.path if file.is_folder else file.path.rpartition("/")[0]
        stated = {base / Path(e.path).relative_to(inside): stated_hash(e) for e in entries}
    rows = []
    for path in status.files:
        known = stated.get(path)
        verdict, sha256 = verify_file(path, known)
        if known and verdict == "ok" and not path.is_symlink():  # it need not be read again
            record = make_record(
                path, sha256=sha256, address=file.address, checked_against=known[0]
            )
            write_record(path, record)
        rows.append({"name": part.key, "path": str(path), "verdict": verdict, "sha256": sha256})
    return rows


def _size(part: Part, status: WeightStatus) -> str:
    if status.present:
        return f"{status.num_bytes / 1e9:.2f} GB"
    return f"~{part.num_bytes / 1e9:.1f} GB" if part.num_bytes else "?"
