"""hiar-baselines fetch, from a server of our own that speaks as the hub does."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from baselines.cli.main import main
from baselines.registry import find_model
from hiar.weights import download

CONTENT = b"weights of one file"
FILES = {
    "Lightricks/LTX-Video": [
        "model_index.json",
        "transformer/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "tokenizer/spiece.model",
        "scheduler/scheduler_config.json",
        "ltxv-13b-0.9.8-dev.safetensors",
    ],
    "BAAI/nova-d48w1024-osp480": ["model_index.json", "transformer/model.safetensors"],
}


class Hub:
    """What was asked for, and a hash that is stated instead of the right one."""

    def __init__(self) -> None:
        self.fetched: list[str] = []
        self.lie = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        if path.startswith("/api/models/"):
            owner, name, _, _, *folder = path.removeprefix("/api/models/").split("/")
            start = "/".join(folder)
            digest = self.lie or hashlib.sha256(CONTENT).hexdigest()
            body = json.dumps([
                {"type": "file", "path": file, "size": 1, "oid": "0",
                 "lfs": {"oid": digest, "size": len(CONTENT)}}
                for file in FILES[f"{owner}/{name}"] if file.startswith(start)
            ]).encode()  # fmt: skip
        else:
            self.fetched.append(path.partition("/resolve/main/")[2])
            body = CONTENT
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setattr(download, "RETRY_AFTER_S", 0.0)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HIAR_WEIGHTS", str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield state
        server.shutdown()
        thread.join()


def test_what_a_model_needs_is_fetched_and_nothing_else(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "ltx-video"]) == 0
    assert "6 files fetched, 0 there already" in capsys.readouterr().out
    assert sorted(hub.fetched) == sorted(FILES["Lightricks/LTX-Video"][:-1])
    file = tmp_path / "Lightricks/LTX-Video/vae/diffusion_pytorch_model.safetensors"
    assert file.read_bytes() == CONTENT
    assert main(["show", "ltx-video"]) == 0
    out = capsys.readouterr().out
    assert f"sha256 {hashlib.sha256(CONTENT).hexdigest()}  diffusion_pytorch_model" in out
    assert "missing" not in out
    assert main(["fetch", "ltx-video", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["fetched"], record["already_there"]) == (0, 6)


def test_several_models_and_a_whole_repository(hub: Hub, tmp_path: Path) -> None:
    assert main(["fetch", "nova", "ltx-video", "nova"]) == 0
    assert len(hub.fetched) == 8
    assert (tmp_path / "BAAI/nova-d48w1024-osp480/transformer/model.safetensors").is_file()


def test_another_hash_than_the_published_one_is_refused(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.lie = "a" * 64
    assert main(["fetch", "nova"]) == 2
    err = capsys.readouterr().err
    assert "not the stated aaaaaaaaaaaa" in err
    assert not list(tmp_path.rglob("*.safetensors"))


def test_an_unknown_model_fetches_nothing(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "nova", "nowa"]) == 2
    assert "'nowa'" in capsys.readouterr().err
    assert hub.fetched == []


def test_shared_files_are_one_file() -> None:
    """The distilled models share text encoder, tokenizer and VAE with each other."""
    files = [set(find_model(key).weights) for key in ("hiar", "self-forcing", "longlive")]
    assert len(set.intersection(*files)) == 3
