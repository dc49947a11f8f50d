"""What a repository holds: each file's address and size, and the hash that its publisher states.

The hub's tree listing gives either the sha256 of a file's content (large files) or its git blob
hash (small ones), so that every file from it can be checked. Of files from elsewhere nothing is
known before they are fetched.
"""

from __future__ import annotations

import json
import os
import urllib.parse
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

from hiar.errors import UsageError
from hiar.weights.download import ATTEMPTS, RemoteFile, TransferError, open_address, wait
from hiar.weights.releases import HUB, WeightFile

OFFLINE_VARIABLE, ENDPOINT_VARIABLE = "HF_HUB_OFFLINE", "HF_ENDPOINT"
"""As huggingface_hub reads them."""


def check_online(environment: Mapping[str, str] = os.environ) -> None:
    """Raise if the environment forbids downloads.

    Raises:
        UsageError: If HF_HUB_OFFLINE is set.
    """
    value = environment.get(OFFLINE_VARIABLE, "")
    if value.upper() in {"1", "ON", "YES", "TRUE"}:
        raise UsageError(f"{OFFLINE_VARIABLE}={value} forbids downloads: unset it to fetch weights")


def list_remote(
    file: WeightFile, environment: Mapping[str, str] = os.environ
) -> tuple[RemoteFile, ...]:
    """The files behind one table entry, with what their publisher states of them.

    Args:
        file: A file or folder of a repository.
        environment: Its HF_ENDPOINT replaces https://huggingface.co, as for huggingface_hub.

    Raises:
        UsageError: If the repository or the file is not there, or cannot be reached.
    """
    check_online(environment)
    endpoint = (environment.get(ENDPOINT_VARIABLE) or HUB).rstrip("/")
    if file.host == "github":
        return (RemoteFile(path=file.path, address=file.address),)
    folder = file.path.rstrip("/") if file.is_folder else file.path.rpartition("/")[0]
    listing = f"{endpoint}/api/models/{file.repo}/tree/main/{urllib.parse.quote(folder)}"
    entries = read_json(f"{listing.rstrip('/')}?recursive=true")
    found = tuple(
        remote_file(entry, f"{endpoint}/{file.repo}/resolve/main")
        for entry in entries
        if entry["type"] == "file" and (file.is_folder or entry["path"] == file.path)
    )
    if not found:
        raise UsageError(f"{file.repo} holds no {file.path or 'file'}: see {file.address}")
    return found


def remote_file(entry: Mapping[str, Any], base: str) -> RemoteFile:
    """One entry of the hub's tree listing."""
    large = entry.get("lfs")
    path: str = entry["path"]
    return RemoteFile(
        path=path,
        address=f"{base}/{urllib.parse.quote(path)}",
        num_bytes=int(large["size"] if large else entry["size"]),
        hash_kind="sha256" if large else "git blob",
        hash_hex=large["oid"] if large else entry["oid"],
    )


def read_json(address: str) -> list[dict[str, Any]]:
    """Read a JSON listing.

    Raises:
        UsageError: If it cannot be reached or is no listing.
    """
    for attempt in range(ATTEMPTS):
        try:
            with open_address(address) as response:
                text = response.read()
            break
        except (TransferError, OSError, HTTPException) as error:
            if attempt == ATTEMPTS - 1:
                raise UsageError(f"{address} cannot be read ({error}): try again later") from error
            wait(attempt)
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise UsageError(f"{address} is no listing of files: is a proxy in the way?")
    return found


def local_path(file: WeightFile, remote: RemoteFile, folder: Path) -> Path:
    """Where a remote file of a table entry belongs.

    Raises:
        UsageError: If its path would leave the repository's folder.
    """
    if ".." in Path(remote.path).parts or Path(remote.path).is_absolute():
        raise UsageError(f"{file.repo} lists {remote.path!r}, which leaves its folder: refused")
    return folder / file.repo / remote.path
