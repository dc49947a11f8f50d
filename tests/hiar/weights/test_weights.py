"""Looking for weights, fetching them from a server of our own, and verifying them."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from hiar.errors import UsageError
from hiar.weights import download
from hiar.weights.download import RemoteFile, fetch_file
from hiar.weights.hub import list_remote
from hiar.weights.local import (
    is_whole,
    known_sha256,
    make_record,
    read_record,
    record_path,
    require,
    require_release,
    weights_folder,
    write_record,
)
from hiar.weights.releases import PARTS, WeightFile, find_part

Run = Callable[..., tuple[int, str, str]]
VAE_REPO = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
BIG = bytes(range(256)) * 12000  # 3 MB: several pieces


@dataclass
class Hub:
    """A server that speaks as the hub does.

    Attributes:
        files: Content by (repository, path).
        large: Files whose sha256 the listing states; of others it states the git blob hash.
        cut_after: Bytes after which a connection breaks, once each.
        asked: What was asked for: path and Range header.
        lie: Sha256 stated for every large file instead of its own.
        ranges: Whether a Range is honoured.
    """

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    cut_after: list[int] = field(default_factory=list)
    fail_with: list[int] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    lie: str | None = None
    ranges: bool = True
    address: str = ""

    def listing(self, repo: str, folder: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = [{"type": "directory", "path": folder, "oid": "0"}]
        for (owner, path), content in self.files.items():
            if owner != repo or not path.startswith(f"{folder}/" if folder else ""):
                continue
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content)}
            if path in self.large:
                sha256 = self.lie or hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
                blob = "0" * 40  # of the pointer, not of the content
            entries.append(entry | {"oid": blob})
        return entries

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path, wanted = handler.path.partition("?")[0], handler.headers.get("Range")
        self.asked.append((path, wanted))
        if self.fail_with:
            return handler.send_error(self.fail_with.pop(0))
        if path.startswith("/api/models/"):
            owner, name, _, _, *folder = path.removeprefix("/api/models/").split("/")
            entries = self.listing(f"{owner}/{name}", "/".join(folder).rstrip("/"))
            if len(entries) == 1:
                return handler.send_error(404)
            return self.send(handler, 200, json.dumps(entries).encode())
        repo, _, file = path.lstrip("/").partition("/resolve/main/")
        content = self.files.get((repo, file))
        if content is None:
            return handler.send_error(404)
        start = 0
        if wanted and self.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        return self.send(handler, 206 if start else 200, content[start:])

    def send(self, handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        is_file = "/resolve/" in handler.path
        cut = self.cut_after.pop(0) if is_file and self.cut_after else len(body)
        handler.wfile.write(body[:cut])
        handler.close_connection = True


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        state.address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("HF_ENDPOINT", state.address)
        monkeypatch.setenv("HIAR_WEIGHTS", str(tmp_path / "weights"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(download, "RETRY_AFTER_S", 0.0)
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HIAR_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def serve_vae(hub: Hub) -> None:
    hub.files[VAE_REPO, "vae/config.json"] = b"{}"
    hub.files[VAE_REPO, "vae/diffusion_pytorch_model.safetensors"] = BIG
    hub.files[VAE_REPO, "transformer/other.safetensors"] = b"not asked for"
    hub.large.add("vae/diffusion_pytorch_model.safetensors")


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_fetch_list_and_verify(hub: Hub, hiar_main: Run, tmp_path: Path) -> None:
    serve_vae(hub)
    weights = tmp_path / "weights" / VAE_REPO / "vae" / "diffusion_pytorch_model.safetensors"
    code, out, err = hiar_main("weights", "fetch", "vae")
    assert (code, out.split(",")[0]) == (0, "2 files fetched")
    assert "diffusion_pytorch_model.safetensors, MiB: 2 done" in err
    assert "config.json" not in err
    assert weights.read_bytes() == BIG
    assert not list(weights.parent.glob("*.part")) + list(weights.parent.glob(".*.part"))
    record = read_record(weights)
    assert record is not None
    assert record.sha256 == hashlib.sha256(BIG).hexdigest()
    assert record.checked_against == "sha256"
    config = read_record(weights.with_name("config.json"))
    assert config is not None
    assert config.checked_against == "git blob"

    listed = json.loads(hiar_main("weights", "list", "vae", "--json")[1])["weights"][0]
    assert listed["present"]
    assert listed["num_bytes"] == len(BIG) + 2
    assert listed["sha256"]["diffusion_pytorch_model.safetensors"] == record.sha256
    assert hiar_main("weights", "verify", "vae")[0] == 0
    asked = len(hub.asked)
    code, out, _ = hiar_main("weights", "fetch", "vae")
    assert (code, out.partition(",")[0]) == (0, "0 files fetched")
    assert len(hub.asked) == asked + 1  # the listing alone

    weights.write_bytes(BIG[:-1] + b"?")
    code, out, _ = hiar_main("weights", "verify", "vae")
    assert code == 1
    assert "changed" in out


def test_a_broken_transfer_goes_on_where_it_stopped(
    hub: Hub, hiar_main: Run, tmp_path: Path
) -> None:
    serve_vae(hub)
    hub.cut_after = [2, 1_500_000, 700_000]  # the config whole, then the weights in three pieces
    assert hiar_main("weights", "fetch", "vae")[0] == 0
    ranges = [wanted for path, wanted in hub.asked if path.endswith(".safetensors")]
    assert ranges == [None, "bytes=1500000-", "bytes=2200000-"]
    assert require("vae").joinpath("diffusion_pytorch_model.safetensors").read_bytes() == BIG


def test_the_next_run_goes_on_too(hub: Hub, hiar_main: Run) -> None:
    serve_vae(hub)
    hub.cut_after = [2, *[100_000] * download.ATTEMPTS]
    code, _, err = hiar_main("weights", "fetch", "vae")
    assert code == 2
    assert "broke off" in err.splitlines()[-1]
    assert "run the command again to go on" in err.splitlines()[-1]
    with pytest.raises(UsageError, match="weights are missing: vae"):
        require("vae")  # the part of a download is no file, and the config alone no VAE
    before = len(hub.asked)
    assert hiar_main("weights", "fetch", "vae")[0] == 0
    assert hub.asked[before + 1][1] == "bytes=400000-"
    assert require("vae").joinpath("diffusion_pytorch_model.safetensors").read_bytes() == BIG


def test_a_server_without_ranges_begins_anew(hub: Hub, hiar_main: Run) -> None:
    serve_vae(hub)
    hub.ranges, hub.cut_after = False, [2, 1_500_000]
    assert hiar_main("weights", "fetch", "vae")[0] == 0
    assert require("vae").joinpath("diffusion_pytorch_model.safetensors").read_bytes() == BIG


def test_other_content_than_stated_is_removed(hub: Hub, hiar_main: Run, tmp_path: Path) -> None:
    serve_vae(hub)
    hub.lie = "ab" * 32
    code, _, err = hiar_main("weights", "fetch", "vae")
    assert code == 2
    assert "not the stated abababababab...: it was removed" in err.splitlines()[-1]
    there = {path.name for path in (tmp_path / "weights" / VAE_REPO / "vae").iterdir()}
    assert there == {"config.json", ".config.json.json"}


@pytest.mark.parametrize(
    ("failures", "code", "words"),
    [([503, 502], 0, ""), ([404], 2, "HTTP 404: was it moved"), ([403], 2, "is it gated")],
)
def test_server_errors(
    hub: Hub, hiar_main: Run, failures: list[int], code: int, words: str
) -> None:
    serve_vae(hub)
    hub.fail_with = failures
    found, _, err = hiar_main("weights", "fetch", "vae")
    assert found == code
    assert words in err


def test_a_file_of_a_repository_is_found_beside_others(
    hub: Hub, hiar_main: Run, tmp_path: Path
) -> None:
    path = "checkpoints/self_forcing_dmd.pt"
    for name in (path, "checkpoints/other.pt", "checkpoints/self_forcing_dmd.pt.old"):
        hub.files["gdhe17/Self-Forcing", name] = name.encode()
    part = find_part("self-forcing")
    remote = list_remote(part.file)
    assert [file.path for file in remote] == [path]
    fetch_file(remote[0], tmp_path / "sf.pt")
    assert (tmp_path / "sf.pt").read_bytes() == path.encode()
    with pytest.raises(UsageError, match=r"holds no checkpoints/none\.pt"):
        list_remote(WeightFile(repo="gdhe17/Self-Forcing", path="checkpoints/none.pt"))


def test_a_listing_cannot_lead_outside(hub: Hub, hiar_main: Run) -> None:
    hub.files[VAE_REPO, "vae/../../../../escaped"] = b"x"
    code, _, err = hiar_main("weights", "fetch", "vae")
    assert code == 2
    assert "leaves its folder: refused" in err


def test_a_file_without_a_stated_hash_is_recorded_and_never_patched_together(
    hub: Hub, tmp_path: Path
) -> None:
    hub.files["a/b", "w.pth"] = b"new version"
    remote = RemoteFile(path="w.pth", address=f"{hub.address}/a/b/resolve/main/w.pth")
    put(tmp_path / ".w.pth.part", b"old ")
    fetch_file(remote, tmp_path / "w.pth")
    assert (tmp_path / "w.pth").read_bytes() == b"new version"
    record = read_record(tmp_path / "w.pth")
    assert record is not None
    assert record.checked_against is None
    assert record.sha256 == hashlib.sha256(b"new version").hexdigest()


def test_two_processes_do_not_write_one_file(hub: Hub, tmp_path: Path) -> None:
    import fcntl

    hub.files["a/b", "w.pth"] = b"x"
    remote = RemoteFile(path="w.pth", address=f"{hub.address}/a/b/resolve/main/w.pth")
    with (tmp_path / ".w.pth.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="is being written by another process"):
            fetch_file(remote, tmp_path / "w.pth")


def test_no_room_is_said_before_a_byte_is_fetched(hub: Hub, tmp_path: Path) -> None:
    remote = RemoteFile(path="w.pth", address=f"{hub.address}/w", num_bytes=10**18)
    with pytest.raises(UsageError, match=r"GB free and w\.pth needs 1000000000\.0 more"):
        fetch_file(remote, tmp_path / "w.pth")
    assert hub.asked == []


def test_no_server_is_one_line(hub: Hub, hiar_main: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    code, out, err = hiar_main("weights", "fetch", "vae")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "Connection refused" in err


def test_offline_fetches_nothing(hub: Hub, hiar_main: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_vae(hub)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, _, err = hiar_main("weights", "fetch", "vae")
    assert (code, err) == (
        2,
        "hiar: HF_HUB_OFFLINE=1 forbids downloads: unset it to fetch weights\n",
    )
    assert hub.asked == []


def test_verify_online_asks_the_publisher(hub: Hub, hiar_main: Run, folder: Path) -> None:
    serve_vae(hub)
    weights = put(folder / VAE_REPO / "vae/diffusion_pytorch_model.safetensors", BIG)
    put(folder / VAE_REPO / "vae/config.json", b"{ }")

    def verdicts(*arguments: str) -> dict[str, str]:
        rows = json.loads(hiar_main("weights", "verify", "vae", "--json", *arguments)[1])
        return {Path(row["path"]).name: row["verdict"] for row in rows["weights"]}

    assert verdicts() == {"config.json": "unverified", weights.name: "damaged"}
    assert verdicts("--online") == {"config.json": "changed", weights.name: "ok"}
    # What was checked once is recorded; what differed is not.
    assert verdicts() == {"config.json": "unverified", weights.name: "ok"}


def test_verify_names_what_is_missing_only_if_asked(hiar_main: Run, folder: Path) -> None:
    code, out, _ = hiar_main("weights", "verify")
    assert (code, out) == (0, f"nothing to verify in {folder}\n")
    code, out, _ = hiar_main("weights", "verify", "hiar")
    assert code == 1
    assert out.count("missing") == 4


def test_list_names_every_part_its_address_and_target(hiar_main: Run, folder: Path) -> None:
    code, out, _ = hiar_main("weights", "list")
    assert code == 0
    for part in PARTS:
        assert part.key in out
        assert part.file.address in out
    address = "https://huggingface.co/jackyhate/HiAR/resolve/main/hiar.pt"
    assert f"{address} -> {folder}/jackyhate/HiAR/hiar.pt" in out
    assert "https://github.com/madebyollin/taehv/raw/main/taew2_1.pth" in out


def test_a_folder_on_the_command_line_wins(hiar_main: Run, folder: Path, tmp_path: Path) -> None:
    put(tmp_path / "other" / "jackyhate/HiAR/hiar.pt")
    argv = ("weights", "list", "hiar", "--json", "--weights-dir", tmp_path / "other")
    rows = json.loads(hiar_main(*argv)[1])["weights"]
    assert {row["name"]: row["present"] for row in rows} == {
        "hiar": True, "text-encoder": False, "tokenizer": False, "vae": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fetch"], "name what to fetch"),
        (["list", "wan"], "'wan' is no release and no weights: choose from hiar"),
        (["list", "--online"], "--online is for verify"),
        (["get"], "invalid choice"),
    ],
)
def test_wrong_use_is_one_line(
    hiar_main: Run, folder: Path, arguments: list[str], words: str
) -> None:
    code, out, err = hiar_main("weights", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights_folder(environment={}) == tmp_path / ".cache/hiar/weights"
    assert weights_folder(environment={"HIAR_WEIGHTS": ""}) == tmp_path / ".cache/hiar/weights"
    assert weights_folder(environment={"HIAR_WEIGHTS": "~/w"}) == tmp_path / "w"
    assert weights_folder(tmp_path, {"HIAR_WEIGHTS": "~/w"}) == tmp_path
    with pytest.raises(UsageError, match="is not a folder: set HIAR_WEIGHTS or --weights-dir"):
        weights_folder(put(tmp_path / "file"))


def test_a_release_needs_all_its_parts(folder: Path) -> None:
    put(folder / "Efficient-Large-Model/LongLive-1.3B/models/longlive_base.pt")
    put(folder / VAE_REPO / "text_encoder/model-00001-of-00002.safetensors")
    put(folder / VAE_REPO / "vae/.diffusion_pytorch_model.safetensors.part")
    with pytest.raises(UsageError) as error:
        require_release("longlive")
    message = str(error.value)
    assert "hiar weights fetch longlive" in message
    for name in ("longlive-lora", "tokenizer", "vae"):
        assert f"{name} (" in message
    for name in ("longlive-base", "text-encoder"):
        assert f"{name} (" not in message
    put(folder / "Efficient-Large-Model/LongLive-1.3B/models/lora.pt")
    put(folder / VAE_REPO / "tokenizer/tokenizer.json")
    put(folder / VAE_REPO / "vae/diffusion_pytorch_model.safetensors")
    files = require_release("longlive")
    assert files.lora is not None
    assert files.lora.name == "lora.pt"
    assert files.vae == folder / VAE_REPO / "vae"


def test_a_known_hash_is_trusted_until_the_file_changes(tmp_path: Path) -> None:
    path = put(tmp_path / "w.pt", b"first")
    write_record(path, make_record(path, sha256="remembered"))
    assert known_sha256(path) == "remembered"
    put(path, b"second version")
    assert known_sha256(path) == hashlib.sha256(b"second version").hexdigest()
    record_path(path).write_text("[]")
    assert read_record(path) is None


def test_what_the_format_shows_of_a_cut(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(64)}, tmp_path / "w.safetensors")
    torch.save({"a": torch.zeros(64)}, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        path = tmp_path / name
        assert is_whole(path)
        path.write_bytes(path.read_bytes()[:-9])
        assert not is_whole(path)
    assert not is_whole(put(tmp_path / "page.safetensors", b"<!doctype html>"))
    assert not is_whole(put(tmp_path / "config.json", b'{"a": '))
