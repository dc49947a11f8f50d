"""Fetch what is missing of the published weights, and say what is there."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiar.weights.download import (
    MAIN,
    DownloadError,
    check_content,
    explained,
    fetch_from_hub,
    fetch_url,
    hash_file,
    is_offline,
    snapshots,
)
from hiar.weights.local import (
    WeightStatus,
    describe_missing,
    find_together,
    is_default,
    places,
)
from hiar.weights.records import make_record, write_record
from hiar.weights.releases import HUB

if TYPE_CHECKING:
    from huggingface_hub import RepoFile

    from hiar.weights.releases import Part, WeightFile


SCHEMA = "hiar-weights/1"
OK = 0


def fetch_groups(
    groups: Iterable[Sequence[Part]], folder: Path, arguments: argparse.Namespace
) -> int:
    """Fetch every file that is not there, and print what was done.

    Args:
        groups: Groups of parts; a group is of one repository, and lies in one folder.
        folder: The weights folder.
        arguments: `json` prints a record.
    """
    made = there = 0
    groups = tuple(groups)
    for group in groups:
        files = [part.file for part in group]
        counts = _fetch_from_github if files[0].host == "github" else _fetch_repository
        new, old = counts(files, folder)
        made, there = made + new, there + old
    if arguments.json:
        rows = [
            describe(part, status)
            for group in groups
            for part, status in zip(
                group, find_together([part.file for part in group], folder), strict=True
            )
        ]
        print_rows(folder, rows, fetched=made, already_there=there)
        return OK
    where = f"in {folder}" if not is_default(folder) else "in the Hugging Face cache"
    sys.stdout.write(f"{made} files fetched, {there} there already, {where}\n")
    return OK


def _fetch_repository(files: Sequence[WeightFile], folder: Path) -> tuple[int, int]:
    """Fetch files of one repository of the hub; returns how many, and how many were there."""
    statuses = find_together(files, folder)
    if is_offline():
        if lacking := [status for status in statuses if not status.present]:
            raise DownloadError(_refusal(lacking))
        return 0, sum(len(status.files) for status in statuses)
    entries = [entry for file in files for entry in list_files(file)]
    if any(_holds(place, entries) for place in places(files[0], folder)):
        return 0, len(entries)
    repo, revision = files[0].repo, files[0].revision
    own = None if is_default(folder) else folder / repo
    copies = [copy for copy in snapshots(repo, revision) if revision in (MAIN, copy.name)]
    goal = own or (copies[0] if copies else None)
    missing = [entry for entry in entries if goal is None or not _holds(goal, [entry])]
    for entry in missing:
        kind, stated = stated_hash(entry)
        target = own and own / entry.path
        path = fetch_from_hub(
            repo, entry.path, revision=revision, target=target, stated=(kind, stated)
        )
        if own is not None:
            sha256 = stated if kind == "sha256" else hash_file(path)[0]
            _note(path, f"{HUB}/{repo}/resolve/{revision}/{entry.path}", sha256, kind)
    return len(missing), len(entries) - len(missing)


def list_files(file: WeightFile) -> list[RepoFile]:
    """The files behind one table entry, with the size and the hash that the hub states of each.

    Raises:
        DownloadError: The repository or the file is not there, or cannot be reached.
    """
    from huggingface_hub import HfApi, RepoFile  # noqa: PLC0415  (imports an HTTP client)

    repo, revision = file.repo, file.revision
    folder = file.path.rstrip("/") if file.is_folder else file.path.rpartition("/")[0]
    with explained(repo, file.path, revision):
        tree = HfApi().list_repo_tree(
            repo, folder or None, recursive=file.is_folder, revision=revision
        )
        files = [entry for entry in tree if isinstance(entry, RepoFile)]
    found = [entry for entry in files if file.is_folder or entry.path == file.path]
    if not found:
        raise DownloadError(f"{repo} holds no {file.path or 'file'} at revision {revision}")
    return found


def stated_hash(entry: RepoFile) -> tuple[str, str]:
    """Kind and hex of the hash that the hub states: "sha256" of a large file, else "git blob"."""
    return ("sha256", entry.lfs.sha256) if entry.lfs else ("git blob", entry.blob_id)


def _holds(repository: Path, entries: Sequence[RepoFile]) -> bool:
    """Whether a folder holds files with the sizes that the hub states."""
    paths = [(repository / entry.path, entry.size) for entry in entries]
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def _fetch_from_github(files: Sequence[WeightFile], folder: Path) -> tuple[int, int]:
    """Fetch single files of GitHub; returns how many, and how many were there."""
    missing = [status for status in find_together(files, folder) if not status.present]
    for status in missing:
        if is_offline():
            raise DownloadError(_refusal([status]))
        fetch_url(status.file.address, status.target)
        kind, expected = status.file.stated or (None, "")
        sha256 = check_content(status.target, kind or "sha256", expected)
        _note(status.target, status.file.address, sha256, kind)
    return len(missing), len(files) - len(missing)


def _note(path: Path, address: str, sha256: str, kind: str | None) -> None:
    """Record a file of the weights folder, so that it need not be read to be known."""
    write_record(path, make_record(path, sha256=sha256, address=address, checked_against=kind))


def _refusal(missing: Sequence[WeightStatus]) -> str:
    named = "; ".join(describe_missing(status) for status in missing)
    return (
        f"HF_HUB_OFFLINE forbids downloads: unset it, or put there by hand what is missing: {named}"
    )


def describe(part: Part, status: WeightStatus) -> dict[str, Any]:
    """The JSON object of one part."""
    return {
        "name": part.key,
        "present": status.present,
        "path": None if status.path is None else str(status.path),
        "target": str(status.target),
        "address": part.file.address,
        "revision": part.file.revision,
        "cached_revision": status.cached_revision,
        "licence": part.licence,
        "enables": part.enables,
        "num_bytes": status.num_bytes if status.present else None,
        "expected_bytes": part.num_bytes,
        "sha256": status.sha256,
    }


def print_rows(folder: Path, rows: list[dict[str, Any]], **more: Any) -> None:
    """Print the record of some parts as JSON."""
    record = {"schema": SCHEMA, "weights_folder": str(folder), **more, "weights": rows}
    sys.stdout.write(json.dumps(record, indent=1) + "\n")
