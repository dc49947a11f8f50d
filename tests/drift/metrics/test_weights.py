"""Weights: downloads from a real local server, hashes, every layout, one clear error."""

import hashlib
import os
import pickle
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from safetensors.torch import save_file

from drift.errors import UsageError
from drift.metrics.networks.reading import read_checkpoint
from drift.metrics.weights.download import DownloadError, download
from drift.metrics.weights.local import (
    WEIGHTS,
    address,
    find_file,
    require,
    state_of,
    weights_folder,
)

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Knows ranges, redirects that state a hash, servers without ranges, and early ends."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/file")
            self.send_header("X-Linked-Etag", f'"{self.server.stated}"')
            self.end_headers()
            return
        if self.path == "/absent":
            self.send_error(404)
            return
        start = 0
        wanted = self.headers.get("Range")
        if wanted and self.path != "/plain":
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(CONTENT):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        stop = len(CONTENT) // 2 if self.path == "/cut" else len(CONTENT)
        self.wfile.write(CONTENT[start:stop])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.asked, http.stated = [], SHA256
        Thread(target=http.serve_forever, daemon=True).start()
        http.url = f"http://127.0.0.1:{http.server_port}"
        yield http
        http.shutdown()


def test_a_file_arrives_whole_and_leaves_nothing_else(server, tmp_path):
    seen = []
    target = tmp_path / "deep" / "file"
    found = download(
        f"{server.url}/file", target, sha256=SHA256, progress=lambda *at: seen.append(at)
    )
    assert (found, target.read_bytes()) == (SHA256, CONTENT)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("path", ["/file", "/plain"])
def test_a_download_goes_on_or_starts_again(server, tmp_path, path):
    target = tmp_path / "file"
    (tmp_path / "file.part").write_bytes(CONTENT[:1000])
    assert download(f"{server.url}{path}", target, sha256=SHA256[:8]) == SHA256
    assert server.asked == [(path, "bytes=1000-")]
    assert target.read_bytes() == CONTENT


def test_an_early_end_is_an_error_and_the_next_try_finishes(server, tmp_path):
    target = tmp_path / "file"
    with pytest.raises(DownloadError, match="goes on from there"):
        download(f"{server.url}/cut", target, sha256=SHA256)
    assert not target.exists()
    assert (tmp_path / "file.part").stat().st_size == len(CONTENT) // 2
    assert download(f"{server.url}/file", target, sha256=SHA256) == SHA256


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT + b"more")
    assert download(f"{server.url}/file", tmp_path / "file", sha256=SHA256) == SHA256


def test_another_content_is_removed(server, tmp_path):
    with pytest.raises(DownloadError, match=f"sha256 {SHA256}, expected 0000"):
        download(f"{server.url}/file", tmp_path / "file", sha256="0000")
    assert list(tmp_path.iterdir()) == []


def test_the_hash_that_the_hub_states_is_checked(server, tmp_path):
    assert download(f"{server.url}/redirect", tmp_path / "a") == SHA256
    server.stated = "0" * 64
    with pytest.raises(DownloadError, match="expected 0000"):
        download(f"{server.url}/redirect", tmp_path / "b")


def test_no_answer_is_one_line(server, tmp_path):
    with pytest.raises(DownloadError, match="404"):
        download(f"{server.url}/absent", tmp_path / "file")
    with pytest.raises(DownloadError, match="refused"):
        download("http://127.0.0.1:9/file", tmp_path / "file")


def test_table_is_consistent():
    for weight in WEIGHTS.values():
        assert weight.url.startswith("https://")
        assert weight.used_by, weight.name
        assert len(weight.sha256) in (0, 8, 64)
        stem, _, digits = weight.file.rpartition(".")[0].rpartition("-")
        if stem and len(digits) == 8:
            assert weight.sha256.startswith(digits)
    assert len({weight.file for weight in WEIGHTS.values()}) == len(WEIGHTS)


def test_require_names_file_address_hash_and_place(tmp_path):
    (tmp_path / "RN50.pt").write_bytes(b"half")
    with pytest.raises(UsageError) as info:
        require(("musiq-koniq", "clip-rn50"), tmp_path)
    text = str(info.value)
    for weight, state in (("musiq-koniq", "missing"), ("clip-rn50", "damaged")):
        entry = WEIGHTS[weight]
        assert f"{tmp_path / entry.file} is {state}" in text
        assert entry.url in text
        assert entry.sha256 in text
    assert "drift weights fetch musiq-koniq clip-rn50" in text


def test_present_needs_the_published_content(tmp_path, monkeypatch):
    weight = replace(WEIGHTS["musiq-spaq"], sha256=SHA256[:8])
    (tmp_path / weight.file).write_bytes(CONTENT)
    assert state_of(weight, tmp_path) == "present"
    (tmp_path / weight.file).write_bytes(CONTENT + b"!")
    assert state_of(weight, tmp_path) == "damaged"


def test_folder_and_mirror_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("DRIFT_WEIGHTS", str(tmp_path))
    assert weights_folder() == tmp_path
    assert weights_folder(tmp_path / "x") == tmp_path / "x"
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is not a folder"):
        weights_folder(tmp_path / "file")
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    assert address(WEIGHTS["dinov2-base"]).startswith("https://mirror.example/facebook/dinov2")
    assert address(WEIGHTS["clip-rn50"]) == WEIGHTS["clip-rn50"].url


def test_heads_of_an_installed_package_count(tmp_path):
    pytest.importorskip("lpips")
    found = find_file(WEIGHTS["lpips-alex"], tmp_path)
    assert found is not None
    assert state_of(WEIGHTS["lpips-alex"], tmp_path) == "present"


class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(3.0))

    def forward(self, x):
        return x + self.weight


def test_every_published_layout_is_read(tmp_path):
    state = {"weight": torch.arange(3.0)}
    torch.save(state, tmp_path / "plain.pth")
    torch.save({"params": state}, tmp_path / "params.pth")
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "x.safetensors")
    torch.jit.script(Tiny()).save(str(tmp_path / "script.pt"))
    for path in tmp_path.iterdir():
        found = read_checkpoint(path)
        assert list(found) == ["weight"], path
        assert torch.equal(found["weight"], state["weight"])


class Evil:
    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors", "x.pt"])
def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK not really")
    with pytest.raises(UsageError, match="no checkpoint that can be read"):
        read_checkpoint(tmp_path / name)


def test_a_pickle_runs_no_code(tmp_path):
    evil = Evil()
    Evil.path = tmp_path / "made"
    torch.save({"weight": evil}, tmp_path / "evil.pth")
    with pytest.raises(UsageError, match="no checkpoint"):
        read_checkpoint(tmp_path / "evil.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(evil))
    with pytest.raises(UsageError, match="no checkpoint"):
        read_checkpoint(tmp_path / "raw.pth")
    assert not (tmp_path / "made").exists()


def test_commands_list_fetch_and_verify(server, tmp_path, monkeypatch, capsys):
    from drift.cli.main import main

    name = "musiq-spaq"
    weight = replace(WEIGHTS[name], url=f"{server.url}/file", sha256=SHA256)
    monkeypatch.setitem(WEIGHTS, name, weight)
    folder = ["--weights-dir", str(tmp_path)]
    assert main(["weights", "verify", name, *folder]) == 1
    assert "missing" in capsys.readouterr().out
    monkeypatch.setenv("DRIFT_OFFLINE", "1")
    assert main(["weights", "fetch", name, *folder]) == 2
    assert f"copy the files to {tmp_path} by hand: {weight.file}" in capsys.readouterr().err
    monkeypatch.setenv("DRIFT_OFFLINE", "0")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert main(["weights", "fetch", name, *folder]) == 0
    assert SHA256 in capsys.readouterr().out
    assert main(["weights", "fetch", name, *folder]) == 0
    assert "here already" in capsys.readouterr().out
    assert main(["weights", "verify", name, *folder]) == 0
    (tmp_path / weight.file).write_bytes(b"damaged")
    assert main(["weights", "verify", *folder]) == 1
    assert "damaged" in capsys.readouterr().out
    assert main(["weights", "list", *folder]) == 0
    assert main(["weights", "fetch", "nonsense", *folder]) == 2
    monkeypatch.setitem(WEIGHTS, name, replace(weight, sha256="0000"))
    Path(tmp_path / weight.file).unlink()
    assert main(["weights", "fetch", name, *folder]) == 1
    assert "expected 0000" in capsys.readouterr().err
