"""Fetch files over HTTP: resumable, into place in one piece, checked against a stated hash."""

from __future__ import annotations

import errno
import fcntl
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO

from hiar.errors import UsageError
from hiar.weights.local import CHUNK_BYTES, hash_file, make_record, write_record

TIMEOUT_S = 60.0
ATTEMPTS = 4
RETRY_AFTER_S = 1.0
AGENT = "hiar-toolkit"


class TransferError(Exception):
    """A transfer that broke and may be tried again."""


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file to fetch.

    Attributes:
        path: In its repository.
        address: Where it is.
        num_bytes: Its size, None if it is not stated.
        hash_kind: Which hash its publisher states: "sha256", "git blob", or None.
        hash_hex: That hash.
    """

    path: str
    address: str
    num_bytes: int | None = None
    hash_kind: str | None = None
    hash_hex: str | None = None

    @property
    def stated(self) -> tuple[str, str] | None:
        """Kind and hex of the publisher's hash, None if it states none."""
        return (self.hash_kind, self.hash_hex) if self.hash_kind and self.hash_hex else None


def open_address(address: str, first_byte: int = 0) -> HTTPResponse:
    """Open an address, from a byte on if the server can.

    Raises:
        UsageError: If the server refuses for good.
        TransferError: If it may be tried again.
    """
    headers = {"User-Agent": AGENT} | ({"Range": f"bytes={first_byte}-"} if first_byte else {})
    request = urllib.request.Request(address, headers=headers)
    try:
        response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code in (
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        ):
            raise TransferError(f"HTTP {error.code}") from error
        hint = "is it gated?" if error.code in (401, 403) else "was it moved?"
        raise UsageError(f"{address} answers HTTP {error.code}: {hint}") from error
    except (OSError, HTTPException) as error:
        raise TransferError(str(getattr(error, "reason", error))) from error
    return response


def fetch_file(
    remote: RemoteFile,
    target: Path,
    *,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> None:
    """Fetch one file into place and record it.

    A broken transfer goes on where it stopped, in this run or the next.

    Args:
        remote: What to fetch.
        target: Where it goes.
        on_bytes: Called with the number of bytes of each piece.

    Raises:
        UsageError: If it cannot be fetched, there is no room, or its hash is another.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with part.open("ab", buffering=0) as stream:
        lock(stream, part)
        check_room(remote, part)
        for attempt in range(ATTEMPTS):
            try:
                append(remote, stream, part, on_bytes)
                break
            except (TransferError, OSError, HTTPException) as error:
                if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                    raise UsageError(f"no space left for {target}: free some and go on") from error
                if attempt == ATTEMPTS - 1:
                    raise UsageError(
                        f"{remote.address} broke off ({error}): run the command again to go on"
                    ) from error
                wait(attempt)
        sha256 = check_content(remote, part)
        part.replace(target)
    write_record(
        target,
        make_record(
            target, sha256=sha256, address=remote.address, checked_against=remote.hash_kind
        ),
    )


def wait(attempt: int) -> None:
    """Give a server time, longer each attempt."""
    time.sleep(RETRY_AFTER_S * 2**attempt)


def lock(stream: IO[bytes], part: Path) -> None:
    """Let one process write a file.

    Raises:
        UsageError: If another one does.
    """
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UsageError(f"{part} is being written by another process: let it finish") from error


def check_room(remote: RemoteFile, part: Path) -> None:
    """Raise if what is left to fetch does not fit the disk."""
    free = shutil.disk_usage(part.parent).free
    left = (remote.num_bytes or 0) - part.stat().st_size
    if left > free:
        raise UsageError(
            f"{part.parent} has {free / 1e9:.1f} GB free and {remote.path} needs {left / 1e9:.1f} "
            "more: free some, or use another --weights-dir"
        )


def append(
    remote: RemoteFile, stream: IO[bytes], part: Path, on_bytes: Callable[[int], None]
) -> None:
    """Append what is missing of a file.

    Raises:
        TransferError: If less came than was announced.
    """
    there = part.stat().st_size
    if there and there == remote.num_bytes:
        return
    # Without a hash nothing would show that the two halves are of different versions.
    if remote.hash_hex is None or (remote.num_bytes is not None and there > remote.num_bytes):
        stream.truncate(0)
        there = 0
    with open_address(remote.address, there) as response:
        if there and response.status != HTTPStatus.PARTIAL_CONTENT:  # it begins anew
            stream.truncate(0)
            there = 0
        announced = response.headers.get("Content-Length")
        received = 0
        while chunk := response.read(CHUNK_BYTES):
            stream.write(chunk)
            received += len(chunk)
            on_bytes(len(chunk))
    if announced is not None and received != int(announced):
        raise TransferError(f"{received} of {announced} bytes came")
    if remote.num_bytes is not None and there + received != remote.num_bytes:
        raise TransferError(f"{there + received} of {remote.num_bytes} bytes are there")


def check_content(remote: RemoteFile, part: Path) -> str:
    """Compare a fetched file with its publisher's hash; returns its sha256.

    Raises:
        UsageError: If they differ; the file is removed.
    """
    sha256, blob = hash_file(part)
    found = blob if remote.hash_kind == "git blob" else sha256
    if remote.hash_hex is not None and found != remote.hash_hex:
        part.unlink()
        raise UsageError(
            f"{remote.address} has {remote.hash_kind} hash {found[:12]}..., not the stated "
            f"{remote.hash_hex[:12]}...: it was removed; fetch it again"
        )
    return sha256
