"""Fetches one file: goes on where an earlier try stopped, checks the hash, then names it."""

import hashlib
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from drift.files import file_sha256

CHUNK_BYTES = 2**20
TIMEOUT_S = 60
RANGE_NOT_SATISFIABLE, PARTIAL_CONTENT = 416, 206


class DownloadError(RuntimeError):
    """A file that could not be fetched whole and right; one line for the user."""


class _Redirects(HTTPRedirectHandler):
    """Keeps the sha256 that the Hugging Face hub states beside a redirect to a large file."""

    stated_sha256 = ""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        tag = headers.get("X-Linked-Etag", "").strip('"')
        self.stated_sha256 = tag if len(tag) == hashlib.sha256().digest_size * 2 else ""
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(
    url: str,
    target: Path,
    *,
    sha256: str = "",
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> str:
    """Fetches a file.

    What arrives is kept in `<target>.part`; `target` itself appears only whole and checked.

    Args:
        url: Address.
        target: Where it belongs; its folder is made if need be.
        sha256: Expected hash or its first digits; empty takes what the host states, if anything.
        progress: Told the bytes that are there and the bytes in all, if known.

    Returns:
        The sha256 of the file.

    Raises:
        DownloadError: no answer, an early end, or another content; the last removes what came.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    redirects = _Redirects()
    try:
        _receive(build_opener(redirects), url, part, progress)
    except HTTPError as error:
        raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from error
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise DownloadError(f"{url}: {reason}; the same command goes on from there") from error
    found, expected = file_sha256(part), sha256 or redirects.stated_sha256
    if not found.startswith(expected):
        part.unlink()
        raise DownloadError(
            f"{url}: the content has sha256 {found}, expected {expected}; it was removed"
        )
    part.replace(target)
    return found


def _receive(
    opener: Any, url: str, part: Path, progress: Callable[[int, int | None], None]
) -> None:
    start = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = opener.open(request, timeout=TIMEOUT_S)
    except HTTPError as error:
        if error.code != RANGE_NOT_SATISFIABLE or not start:
            raise
        part.unlink()  # nothing is left to fetch, or it is another file by now: begin again
        _receive(opener, url, part, progress)
        return
    with response:
        goes_on = response.status == PARTIAL_CONTENT and response.headers.get(
            "Content-Range", ""
        ).startswith(f"bytes {start}-")
        done = start if goes_on else 0
        length = response.headers.get("Content-Length")
        total = None if length is None else done + int(length)
        with part.open("ab" if goes_on else "wb") as file:
            while chunk := response.read(CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                progress(done, total)
    if total is not None and done < total:
        raise OSError(f"the connection ended after {done} of {total} bytes")
