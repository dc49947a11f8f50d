"""Published files: which caches of other tools hold them, and how one is fetched.

Fetching is the work of huggingface_hub, and of torch.hub for a file that is not on the hub. Added
here: what arrives is compared with the hash that its publisher states, and what goes wrong is told
in one line. The packages hiar and drift do not import one another, so each has this file, word for
word.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import Request, urlopen

MAIN = "main"
"""Revision of a repository whose commit is not pinned."""
CHUNK_BYTES = 1 << 20
TIMEOUT_S, LINE_EVERY_S = 60.0, 10.0
HASH_KINDS = {40: "git blob", 64: "sha256"}
"""Hash that the hub states of a file, by its number of digits: of small files, of large ones."""
_AGAIN = "run the same command again to go on"
_FOLDER = "make room, or name a folder that can be written (HF_HOME, --weights-dir)"
_TOKEN = "give a token that may read it (HF_TOKEN, or hf auth login)"


class DownloadError(ValueError):
    """A file that could not be fetched; the message is one line and says what to do."""

    exit_code = 2


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids downloads."""
    from huggingface_hub import constants  # noqa: PLC0415  (light, and needed for weights only)

    return bool(constants.HF_HUB_OFFLINE)


def hub_cache(repo: str) -> Path:
    """Folder of a repository in the Hugging Face cache (HF_HOME, HF_HUB_CACHE)."""
    from huggingface_hub import constants  # noqa: PLC0415

    return Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"


def snapshots(repo: str, revision: str) -> list[Path]:
    """Copies of a repository in the Hugging Face cache, the pinned revision first.

    The other copy is what `main` was when another tool fetched it.
    """
    cache = hub_cache(repo)
    names = [] if revision == MAIN else [revision]
    with suppress(OSError, UnicodeDecodeError):
        names.append((cache / "refs" / MAIN).read_text(encoding="ascii").strip())
    folders = [cache / "snapshots" / name for name in dict.fromkeys(names) if name]
    return [folder for folder in folders if folder.is_dir()]


def torch_cache() -> Path:
    """Folder in which torch.hub keeps files, without importing torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TORCH_HOME") or f"{cache}/torch").expanduser() / "hub"


def fetch_from_hub(
    repo: str,
    path: str,
    *,
    revision: str,
    kind: str = "model",
    target: Path | None = None,
    stated: tuple[str, str] | None = None,
) -> Path:
    """Fetch a file of a repository and compare it with the hash that the hub states.

    Args:
        repo: Name of the repository, "owner/name".
        path: Path of the file in it.
        revision: Commit, or "main".
        kind: "model", or "space".
        target: Where it goes; None is the Hugging Face cache, which other tools share.
        stated: Kind and hex of the hash, if it is known. Else it is the name that the cache gives
            the file, where the cache has links.

    Returns:
        Where it is.

    Raises:
        DownloadError: It cannot be fetched, or is not what the hub states.
    """
    if target is None:
        return _fetch_into(None, repo, path, revision, kind, stated)
    with explained(repo, path, revision):
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".fetch.", suffix=".part", dir=target.parent) as cache:
            found = _fetch_into(cache, repo, path, revision, kind, stated)
            found.resolve().replace(target)
    return target


def _fetch_into(
    cache: str | None,
    repo: str,
    path: str,
    revision: str,
    kind: str,
    stated: tuple[str, str] | None,
) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache  # noqa: PLC0415

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # an error is told once, below
    place: dict[str, Any] = {"revision": revision, "repo_type": kind, "cache_dir": cache}
    with explained(repo, path, revision), warnings.catch_warnings():
        warnings.filterwarnings("error", "Not enough free disk space")
        was_there = isinstance(try_to_load_from_cache(repo, path, **place), str)
        link = Path(hf_hub_download(repo, path, tqdm_class=_bar(), **place))
    try:
        if expected := stated or named_hash(link):
            check_content(link, *expected)
    except DownloadError:
        if not was_there:
            raise
        return _fetch_into(cache, repo, path, revision, kind, stated)  # the bad copy is gone
    return link


def named_hash(path: Path) -> tuple[str, str] | None:
    """Kind and hex of the hash by which the Hugging Face cache names a file; None elsewhere."""
    blob = path.resolve()
    kind = HASH_KINDS.get(len(blob.name)) if blob.parent.name == "blobs" else None
    return (kind, blob.name) if kind and re.fullmatch("[0-9a-f]+", blob.name) else None


def fetch_url(url: str, target: Path, *, sha256: str = "") -> None:
    """Fetch a file that is not on the hub.

    Args:
        url: Its address.
        target: Where it goes.
        sha256: Its hash, or the first digits; empty if it is not known, and then its length alone
            is compared.

    Raises:
        DownloadError: It cannot be fetched, or has another hash.
    """
    from torch.hub import download_url_to_file  # noqa: PLC0415  (torch takes seconds)

    with explained(url):
        target.parent.mkdir(parents=True, exist_ok=True)
        request = Request(url, method="HEAD", headers={"User-Agent": "torch.hub"})
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            num_bytes = int(answer.headers.get("Content-Length") or 0)
        with TemporaryDirectory(prefix=".fetch.", suffix=".part", dir=target.parent) as work:
            part = Path(work) / target.name
            download_url_to_file(url, str(part), sha256 or None, progress=sys.stderr.isatty())
            if num_bytes and part.stat().st_size != num_bytes:
                raise OSError(f"{part.stat().st_size} of {num_bytes} bytes came")
            part.replace(target)


def check_content(path: Path, kind: str, expected: str) -> str:
    """Compare a fetched file with its publisher's hash.

    Args:
        path: The file.
        kind: "sha256" or "git blob".
        expected: The hash, or its first digits.

    Returns:
        Its sha256.

    Raises:
        DownloadError: They differ; the file is removed.
    """
    sha256, blob = hash_file(path)
    found = blob if kind == "git blob" else sha256
    if not found.startswith(expected):
        path.resolve().unlink()
        path.unlink(missing_ok=True)  # in the cache, the link to the file
        raise DownloadError(
            f"{path.name} has {kind} hash {found[:12]}..., not the published {expected[:12]}...: "
            f"it was removed; {_AGAIN}"
        )
    return sha256


def hash_file(path: Path) -> tuple[str, str]:
    """SHA-256 of a file and its hash as a git blob, both as hex."""
    sha256 = hashlib.sha256()
    blob = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            sha256.update(chunk)
            blob.update(chunk)
    return sha256.hexdigest(), blob.hexdigest()


def _bar() -> type[Any]:
    """The hub's progress bar on a terminal; elsewhere one that writes a line every ten seconds."""
    import tqdm  # noqa: PLC0415
    from huggingface_hub.utils.tqdm import tqdm as hub_bar  # noqa: PLC0415

    class Lines(tqdm.tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            every_s = {"mininterval": LINE_EVERY_S, "delay": LINE_EVERY_S}
            super().__init__(*args, **kwargs, **every_s, leave=False)

        def display(self, msg: str | None = None, pos: int | None = None) -> bool:
            if msg is None:  # at its end it asks for an empty line
                self.fp.write(f"{self}\n")
            return True

    return hub_bar if sys.stderr.isatty() else Lines


@contextmanager
def explained(repo: str, path: str = "", revision: str = "") -> Iterator[None]:
    """Turn what huggingface_hub, torch.hub and the disk raise into one line for the user."""
    from huggingface_hub import errors  # noqa: PLC0415

    try:
        yield
    except DownloadError:
        raise
    except (errors.HTTPError, OSError, ValueError, RuntimeError, UserWarning) as error:  # type: ignore[attr-defined]
        is_summary = isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__
        cause = error.__cause__ if is_summary else error
        assert cause is not None
        raise DownloadError(_explain(cause, repo, path, revision)) from error


def _explain(error: BaseException, repo: str, path: str, revision: str) -> str:
    from huggingface_hub import constants, errors  # noqa: PLC0415

    name, hub = f"{repo}/{path}".rstrip("/"), constants.ENDPOINT
    status = getattr(getattr(error, "response", None), "status_code", None)
    no_hub = f"{hub} does not answer as the hub does for {name}: is a proxy in the way?"
    known: tuple[tuple[type[BaseException], str], ...] = (
        (errors.OfflineModeIsEnabled, f"HF_HUB_OFFLINE forbids to fetch {name}: unset it"),
        (errors.GatedRepoError, f"{repo} is gated: accept its licence at {hub}/{repo}, {_TOKEN}"),
        (errors.RevisionNotFoundError, f"{hub} has no revision {revision} of {repo} any more"),
        (errors.RemoteEntryNotFoundError, f"{repo} holds no {path} at revision {revision}"),
        (errors.RepositoryNotFoundError, f"{hub} shows no {repo}: if it is private, {_TOKEN}"),
        (errors.FileMetadataError, no_hub),
        (json.JSONDecodeError, no_hub),
    )
    for kind, text in known:
        if isinstance(error, kind):
            return text
    if status in (401, 403):
        return f"{hub} refuses your token for {repo} (HTTP {status}): {_TOKEN}, or unset it"
    if isinstance(error, OSError) and error.errno and error.strerror:
        where = f"{error.filename}: " * bool(error.filename)
        return f"{name}: {where}{error.strerror}; {_FOLDER}, then {_AGAIN}"
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return f"{name}: {reason[0]}; {_AGAIN}"
