"""hiar-vbench doctor and weights: what is missing, where it belongs, whether it is what it says."""

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from fake_hub import FakeHub

from eval.protocol.dimensions import DIMENSIONS
from eval.upstream import weights as weight_table
from eval.upstream.fetch import BERT_FILES
from eval.upstream.weights import NEEDED, NEEDED_LONG, WEIGHTS, find_weights, locate, weight_roots

NAMES = [dimension.name for dimension in DIMENSIONS]


def doctor(vbench, *more) -> tuple[int, dict]:
    code, out, err = vbench("doctor", "--json", *more)
    assert err == ""
    return code, json.loads(out)


def test_every_dimension_is_told_what_it_misses(fake_environment, vbench, tmp_path) -> None:
    fake_environment(color="no_module", scene="no_module")
    code, facts = doctor(vbench, "--env", tmp_path / "env")
    assert code == 1
    rows = {row["name"]: row for row in facts["dimensions"]}
    assert list(rows) == NAMES
    assert rows["temporal_flickering"]["lacks"] == []
    assert rows["color"]["lacks"][0]["remedy"] == "hiar-vbench setup --detectron2"
    assert "No module named 'vbench.color'" in rows["color"]["lacks"][0]["what"]
    assert [lack["what"] for lack in rows["imaging_quality"]["lacks"]] == ["weights musiq-spaq"]
    places = {row["name"]: row["path"] for row in facts["weights"]}
    assert places["raft"] == str(tmp_path / "cache/vbench/raft_model/models/raft-things.pth")


def test_page(fake_environment, vbench, tmp_path) -> None:
    fake_environment()
    code, out, _ = vbench("doctor", "--env", tmp_path / "env")
    assert code == 1
    lines = out.splitlines()
    (flicker,) = [line for line in lines if line.startswith("temporal_flickering")]
    assert flicker.split() == ["temporal_flickering", "yes"]
    assert any(line.startswith("to do: hiar-vbench weights fetch") for line in lines)
    assert any("GPU for a full run" in line for line in lines)


def test_no_environment_and_a_broken_one(fake_environment, vbench, tmp_path) -> None:
    fake_environment()
    code, out, _ = vbench("doctor", "--env", tmp_path / "none")
    assert code == 1
    assert "make it with: hiar-vbench setup" in out
    python = tmp_path / "env" / "bin" / "python"
    python.write_text("#!/bin/sh\necho no library found >&2\nexit 127\n")
    _, out, _ = vbench("doctor", "--env", tmp_path / "env")
    assert "repair it with: hiar-vbench setup" in out
    assert "no library found" in out


def test_all_weights_there(fake_environment, put_weights, vbench, tmp_path) -> None:
    fake_environment()
    put_weights(*WEIGHTS)
    for protocol in ("vbench", "vbench-long"):
        code, facts = doctor(vbench, "--env", tmp_path / "env", "--protocol", protocol)
        assert code == 0
        assert all(row["state"] == "present" for row in facts["weights"])
    code, facts = doctor(vbench, "--env", tmp_path / "env", "--verify")
    assert code == 1  # CLIP's and MUSIQ's hashes are published
    wrong = {row["name"] for row in facts["weights"] if row["state"] == "wrong"}
    assert wrong == {"clip-b32", "clip-l14", "musiq-spaq"}


def test_long_needs_more(fake_environment, vbench, tmp_path) -> None:
    fake_environment()
    _, facts = doctor(vbench, "--env", tmp_path / "env", "--protocol", "vbench-long")
    subject = facts["dimensions"][0]
    assert subject["weights"] == ["dino-code", "dino", "dinov2-code", "dinov2"]


def test_table_is_whole() -> None:
    assert list(NEEDED) == NAMES
    used = {name for names in (*NEEDED.values(), *NEEDED_LONG.values()) for name in names}
    assert used == set(WEIGHTS)
    assert all(weight.address.startswith("https://") for weight in WEIGHTS.values())
    assert all(bool(weight.url) != bool(weight.repo) for weight in WEIGHTS.values())


def test_weights_list_names_places(fake_environment, vbench, tmp_path) -> None:
    code, out, _ = vbench("weights", "list", "scene", "raft")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "tag2text", "bert-vocabulary", "bert", "raft"
    ]  # fmt: skip
    assert vbench("weights", "verify", "raft")[0] == 1
    assert vbench("weights", "fetch")[0] == 2
    assert vbench("weights", "list", "sceen")[0] == 2


@pytest.fixture
def published(tmp_path: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, fake_environment):
    """Weights that are published on this disk, and by a hub of our own."""
    host = tmp_path / "host"
    host.mkdir()
    (host / "plain.pth").write_bytes(b"plain weights")
    with zipfile.ZipFile(host / "models.zip", "w") as archive:
        archive.writestr("models/raft-things.pth", b"raft weights")
    with zipfile.ZipFile(host / "main.zip", "w") as archive:
        archive.writestr("dino-main/hubconf.py", "code")
        archive.writestr("dino-main/utils.py", "more code")
    digest = hashlib.sha256(b"plain weights").hexdigest()
    changes = {
        "musiq-spaq": {"url": (host / "plain.pth").as_uri(), "sha256": digest[:8]},
        "raft": {"url": (host / "models.zip").as_uri()},
        "dino-code": {"url": (host / "main.zip").as_uri()},
        "dino": {"url": (host / "gone.pth").as_uri()},
        "clip-b32": {"url": (host / "plain.pth").as_uri()},  # its hash is another
    }
    for name, change in changes.items():
        monkeypatch.setitem(weight_table.WEIGHTS, name, replace(WEIGHTS[name], **change))
    hub.files = {
        ("lalala125/AMT", "amt-s.pth"): b"plain weights",
        ("xinyu1205/recognize-anything", "tag2text_swin_14m.pth"): b"a space's weights",
        ("bert-base-uncased", "tf_model.h5"): b"not asked for",
    } | {("bert-base-uncased", name): name.encode() for name in BERT_FILES}
    hub.large = {"amt-s.pth", "tag2text_swin_14m.pth", "model.safetensors", "tf_model.h5"}
    cache = tmp_path / "cache" / "hf" / "hub"  # in the HF_HOME of the environment
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    return host


def test_fetch_puts_weights_where_upstream_looks(published, vbench) -> None:
    names = ("musiq-spaq", "amt-s", "raft", "dino-code")
    code, _, err = vbench("weights", "fetch", *names)
    assert code == 0, err
    places = [locate(weight, weight_roots()) for weight in find_weights(names)]
    assert [place.read_bytes() for place in places] == [
        b"plain weights", b"plain weights", b"raft weights", b"code"
    ]  # fmt: skip
    assert (places[3].parent / "utils.py").is_file()
    assert not list(places[2].parents[1].glob("*.zip"))
    assert vbench("weights", "verify", *names)[0] == 0
    _, _, err = vbench("weights", "fetch", *names)
    assert err.count(": there\n") == 4


def test_a_weight_that_changed_since_it_was_fetched_is_seen(published, vbench) -> None:
    assert vbench("weights", "fetch", "amt-s")[0] == 0
    (weight,) = find_weights(["amt-s"])
    place = locate(weight, weight_roots())
    place.write_bytes(b"other weights")
    code, out, _ = vbench("weights", "verify", "amt-s")
    assert code == 1
    assert "sha256" in out
    assert vbench("weights", "fetch", "amt-s")[0] == 0
    assert place.read_bytes() == b"plain weights"


def test_weights_of_the_hub_go_where_upstream_looks(published, vbench, hub, tmp_path) -> None:
    assert vbench("weights", "fetch", "tag2text", "bert", "bert-vocabulary")[0] == 0
    assert locate(WEIGHTS["tag2text"], weight_roots()).read_bytes() == b"a space's weights"
    assert locate(WEIGHTS["bert"], weight_roots()).read_bytes() == b"model.safetensors"
    assert (tmp_path / "cache/hf/hub/models--bert-base-uncased/refs/main").is_file()
    assert sorted(hub.downloads) == sorted([*BERT_FILES, "tag2text_swin_14m.pth"])


def test_offline_fetches_nothing(published, vbench, hub, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    code, _, err = vbench("weights", "fetch", "amt-s")
    assert (code, err.count("\n"), hub.asked) == (1, 1, [])


def test_fetch_failures_name_the_weight_and_the_others_go_on(published, vbench) -> None:
    code, _, err = vbench("weights", "fetch", "umt-l16", "dino", "clip-b32", "amt-s")
    assert code == 1
    assert "umt-l16: " in err
    assert "dino: " in err
    assert "clip-b32: " in err
    assert "40d3657159" in err
    assert "amt-s: fetched" in err
    assert not locate(WEIGHTS["clip-b32"], weight_roots()).exists()
