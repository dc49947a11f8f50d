"""A server that speaks the Hugging Face hub's protocol, and a cache as the hub's library lays it.

The protocol is what huggingface_hub 2.4 asks: the tree of a revision (`hf_api.py`,
`list_repo_tree`), the headers of a file and its content (`file_download.py`), and the error codes
in `X-Error-Code` (`utils/_http.py`, `hf_raise_for_status`).
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import huggingface_hub.constants
import pytest

MAIN_COMMIT = "c" * 40
PROXY_PAGE = b"<html>Please log in to the network</html>"


def blob_id(content: bytes) -> str:
    """The id that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class FakeHub:
    """What the server holds and how it behaves.

    Attributes:
        files: Content by (repository, path), the same at every revision that exists.
        large: Paths that are kept by sha256; of others the git blob id is stated.
        gone: Revisions that do not exist.
        token: Token that must be sent; None lets everyone in.
        gated: Repositories that are gated for whoever asks.
        failures: Status codes that the next requests get.
        cut_after: Bytes after which the next downloads break off.
        lie: Hash stated for every file instead of its own.
        proxy: Which requests a proxy answers with its page: "", "files" or "all".
        hold: Downloads wait for this event.
        asked: Method and path of each request.
        downloads: Paths whose content was sent.
    """

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    token: str | None = None
    gated: set[str] = field(default_factory=set)
    failures: list[int] = field(default_factory=list)
    cut_after: list[int] = field(default_factory=list)
    lie: str | None = None
    proxy: str = ""
    hold: threading.Event | None = None
    asked: list[str] = field(default_factory=list)
    downloads: list[str] = field(default_factory=list)
    address: str = ""

    def stated(self, path: str, content: bytes) -> str:
        """The hash that the hub states of a file."""
        large = hashlib.sha256(content).hexdigest() if path in self.large else None
        return self.lie or large or blob_id(content)

    def answer(self, handler: BaseHTTPRequestHandler, *, head: bool) -> None:
        """Answer one request."""
        path = unquote(handler.path.partition("?")[0])
        self.asked.append(f"{handler.command} {path}")
        if self.failures:
            return _send(handler, self.failures.pop(0))
        if self.token and handler.headers.get("Authorization") != f"Bearer {self.token}":
            message = {"X-Error-Message": "Invalid credentials in Authorization header"}
            return _send(handler, 401, headers=message)
        if self.proxy == "all":
            return _send(handler, 200, PROXY_PAGE, head=head)
        if "/tree/" in path:
            return self._tree(handler, path)
        return self._file(handler, path.lstrip("/").removeprefix("spaces/"), head=head)

    def _tree(self, handler: BaseHTTPRequestHandler, path: str) -> None:
        repo, _, rest = path.split("/", 3)[3].partition("/tree/")
        revision, _, folder = rest.partition("/")
        if not any(owner == repo for owner, _ in self.files):
            return _send(handler, 404, headers={"X-Error-Code": "RepoNotFound"})
        if repo in self.gated:
            return _send(handler, 403, headers={"X-Error-Code": "GatedRepo"})
        if revision in self.gone:
            return _send(handler, 404, headers={"X-Error-Code": "RevisionNotFound"})
        start = f"{folder}/" if folder else ""
        inside = [(p, c) for (r, p), c in self.files.items() if r == repo and p.startswith(start)]
        if not inside:
            return _send(handler, 404, headers={"X-Error-Code": "EntryNotFound"})
        entries = [self._entry(path, content) for path, content in inside]
        return _send(handler, 200, json.dumps(entries).encode())

    def _entry(self, path: str, content: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content)}
        if path not in self.large:
            return entry | {"oid": self.stated(path, content)}
        lfs = {"oid": self.stated(path, content), "size": len(content), "pointerSize": 134}
        return entry | {"oid": "0" * 40, "lfs": lfs}

    def _file(self, handler: BaseHTTPRequestHandler, path: str, *, head: bool) -> None:
        repo, _, rest = path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        content = self.files.get((repo, name))  # None of what else the library asks
        if content is None:
            return _send(handler, 404, headers={"X-Error-Code": "EntryNotFound"})
        headers = {
            "X-Repo-Commit": MAIN_COMMIT if revision == "main" else revision,
            "ETag": f'"{self.stated(name, content)}"',
        }
        if head:
            return _send(handler, 200, content, headers=headers, head=True)
        if self.hold:
            self.hold.wait(30)
        if self.proxy == "files":
            return _send(handler, 200, PROXY_PAGE)
        wanted = handler.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0) if wanted else 0
        self.downloads.append(name)
        cut = self.cut_after.pop(0) if self.cut_after else None
        return _send(handler, 206 if start else 200, content[start:], headers=headers, cut=cut)


def _send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes = b"",
    *,
    headers: dict[str, str] | None = None,
    head: bool = False,
    cut: int | None = None,
) -> None:
    handler.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
        handler.send_header(name, value)
    handler.end_headers()
    if not head:
        handler.wfile.write(body if cut is None else body[:cut])
    handler.close_connection = True


@contextmanager
def serving(state: FakeHub) -> Iterator[None]:
    """Within the block, a server on this machine answers for the hub."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self, head=False)

        def do_HEAD(self) -> None:
            state.answer(self, head=True)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        state.address = f"http://127.0.0.1:{server.server_port}"
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache, and a home in which no other cache lies."""
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CACHE_HOME", "TORCH_HOME", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    constants = huggingface_hub.constants  # it read the environment when it was imported
    cache = home / ".cache" / "huggingface" / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / ".cache" / "huggingface" / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return cache


@pytest.fixture
def hub(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub on this machine, instead of the one on the internet."""
    state = FakeHub()
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(time, "sleep", lambda _: None)  # the library waits before it tries again
    with serving(state):
        use_endpoint(state.address, monkeypatch)
        yield state


def use_endpoint(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As HF_ENDPOINT does before huggingface_hub is imported."""
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def put_in_cache(
    cache: Path, repo: str, path: str, content: bytes, *, commit: str, large: bool = True
) -> Path:
    """Lay a file into a cache as `hf download REPO` does, with `main` at this commit."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    name = hashlib.sha256(content).hexdigest() if large else blob_id(content)
    blob, link = folder / "blobs" / name, folder / "snapshots" / commit / path
    for parent in (blob.parent, link.parent, folder / "refs"):
        parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    link.symlink_to(Path(*[".."] * (path.count("/") + 2), "blobs", name))
    (folder / "refs" / "main").write_text(commit)
    return link
