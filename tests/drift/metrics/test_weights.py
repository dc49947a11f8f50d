"""Weights: downloads from a real local server, hashes, every layout, one clear error."""

import hashlib
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fake_hub import put_in_cache
from safetensors.torch import save_file

from drift.errors import UsageError
from drift.metrics.networks.reading import read_checkpoint
from drift.metrics.weights.download import DownloadError, fetch_url
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


def test_hiar_and_drift_fetch_alike():
    """The two packages do not import one another, and share the file by its text."""
    root = Path(__file__).parents[3]
    ours = root / "drift" / "metrics" / "weights" / "download.py"
    assert ours.read_text() == (root / "hiar" / "weights" / "download.py").read_text()


@pytest.fixture
def published(tmp_path):
    path = tmp_path / "host" / "weights.pth"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


def test_a_file_arrives_whole_and_leaves_nothing_else(published, tmp_path):
    target = tmp_path / "deep" / "file"
    fetch_url(published.as_uri(), target, sha256=SHA256[:8])
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


def test_another_content_is_refused(published, tmp_path):
    with pytest.raises(DownloadError, match="0000"):
        fetch_url(published.as_uri(), tmp_path / "deep" / "file", sha256="0000")
    assert list((tmp_path / "deep").iterdir()) == []


def test_no_answer_is_one_line(hub, tmp_path):
    with pytest.raises(DownloadError, match="404"):
        fetch_url(f"{hub.address}/a/b/resolve/main/absent", tmp_path / "file")
    with pytest.raises(DownloadError, match="refused"):
        fetch_url("http://127.0.0.1:9/file", tmp_path / "file")


def test_an_early_end_is_an_error_even_where_no_hash_is_known(hub, tmp_path):
    hub.files["a/b", "file"] = CONTENT
    hub.cut_after = [1000]
    address = f"{hub.address}/a/b/resolve/main/file"
    with pytest.raises(DownloadError, match=f"1000 of {len(CONTENT)} bytes"):
        fetch_url(address, tmp_path / "file")
    fetch_url(address, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_table_is_consistent():
    for weight in WEIGHTS.values():
        assert address(weight).startswith("https://")
        assert bool(weight.url) != bool(weight.repo)
        assert not weight.repo or len(weight.revision) == 40
        assert weight.used_by, weight.name
        assert len(weight.sha256) in (8, 64)
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
        assert address(entry) in text
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
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://mirror.example")
    assert address(WEIGHTS["dinov2-base"]).startswith("https://mirror.example/facebook/dinov2")
    assert address(WEIGHTS["clip-rn50"]) == WEIGHTS["clip-rn50"].url


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("alexnet", "torch/hub/checkpoints/alexnet-owt-7be5be79.pth"),
        ("musiq-koniq", "torch/hub/pyiqa/musiq_koniq_ckpt-e95806b9.pth"),
        ("clip-rn50", "clip/RN50.pt"),
    ],
)
def test_caches_of_other_tools_are_looked_into(hub_cache, tmp_path, name, place):
    path = Path.home() / ".cache" / place
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert find_file(WEIGHTS[name], tmp_path) == path


def test_the_hub_cache_is_looked_into_after_the_folder(hub_cache, tmp_path):
    weight = WEIGHTS["dinov2-base"]
    assert find_file(weight, tmp_path) is None
    link = put_in_cache(hub_cache, weight.repo, weight.path, CONTENT, commit=weight.revision)
    assert find_file(weight, tmp_path) == link
    (tmp_path / weight.file).write_bytes(CONTENT)
    assert find_file(weight, tmp_path) == tmp_path / weight.file


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


@pytest.mark.parametrize("on_hub", [True, False])
def test_commands_list_fetch_and_verify(hub, published, tmp_path, monkeypatch, capsys, on_hub):
    from drift.cli.main import main

    name = "musiq-spaq" if on_hub else "alexnet"
    weight = replace(WEIGHTS[name], sha256=SHA256)
    if on_hub:
        hub.files[weight.repo, weight.path] = CONTENT
        hub.large.add(weight.path)
    else:
        weight = replace(weight, url=published.as_uri())
    monkeypatch.setitem(WEIGHTS, name, weight)
    home = tmp_path / "w"
    folder = ["--weights-dir", str(home)]
    assert main(["weights", "verify", name, *folder]) == 1
    assert "missing" in capsys.readouterr().out
    monkeypatch.setenv("DRIFT_OFFLINE", "1")
    assert main(["weights", "fetch", name, *folder]) == 2
    assert f"copy the files to {home} by hand: {weight.file}" in capsys.readouterr().err
    monkeypatch.setenv("DRIFT_OFFLINE", "0")
    assert main(["weights", "fetch", name, *folder]) == 0
    assert SHA256 in capsys.readouterr().out
    assert main(["weights", "fetch", name, *folder]) == 0
    assert "here already" in capsys.readouterr().out
    assert main(["weights", "verify", name, *folder]) == 0
    (home / weight.file).write_bytes(b"damaged")
    assert main(["weights", "verify", name, *folder]) == 1
    assert "damaged" in capsys.readouterr().out
    assert main(["weights", "fetch", name, *folder]) == 0  # mends it
    assert main(["weights", "verify", name, *folder]) == 0
    assert main(["weights", "list", *folder]) == 0
    assert main(["weights", "fetch", "nonsense", *folder]) == 2
    monkeypatch.setitem(WEIGHTS, name, replace(weight, sha256="0000"))
    capsys.readouterr()
    assert main(["weights", "fetch", name, *folder]) == 1
    assert "0000" in capsys.readouterr().err


def test_fetch_without_a_folder_fills_the_shared_cache(hub, hub_cache, monkeypatch, capsys):
    from drift.cli.main import main

    monkeypatch.delenv("DRIFT_WEIGHTS", raising=False)
    weight = replace(WEIGHTS["dinov2-base"], sha256=SHA256)
    monkeypatch.setitem(WEIGHTS, weight.name, weight)
    damaged = weights_folder() / weight.file
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"an older version's, damaged")
    hub.files[weight.repo, weight.path] = CONTENT
    hub.large.add(weight.path)
    assert main(["weights", "fetch", weight.name]) == 0
    found = find_file(weight, weights_folder())
    assert found is not None
    assert hub_cache in found.parents
    hub.lie = "ab" * 32  # the hub states another hash than it sends
    found.unlink()
    found.resolve().unlink(missing_ok=True)
    assert main(["weights", "fetch", weight.name]) == 1
