"""hiar-baselines fetch, from a server of our own that speaks as the hub does."""

import hashlib
import json
from pathlib import Path

import pytest
from fake_hub import FakeHub, put_in_cache

from baselines.cli.main import main
from baselines.registry import MODELS, find_model

CONTENT = b"weights of one file"
LTX = "Lightricks/LTX-Video"
FILES = {
    LTX: [
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


@pytest.fixture
def served(hub: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeHub:
    """A hub with two models, and a weights folder for them."""
    hub.files = {(repo, path): CONTENT for repo, paths in FILES.items() for path in paths}
    hub.large = {path for paths in FILES.values() for path in paths if "safetensors" in path}
    monkeypatch.setenv("HIAR_WEIGHTS", str(tmp_path / "weights"))
    return hub


def test_what_a_model_needs_is_fetched_and_nothing_else(
    served: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "ltx-video"]) == 0
    assert "6 files fetched, 0 there already" in capsys.readouterr().out
    assert sorted(served.downloads) == sorted(FILES[LTX][:-1])
    file = tmp_path / "weights" / LTX / "vae/diffusion_pytorch_model.safetensors"
    assert file.read_bytes() == CONTENT
    assert main(["show", "ltx-video"]) == 0
    out = capsys.readouterr().out
    assert f"sha256 {hashlib.sha256(CONTENT).hexdigest()}  diffusion_pytorch_model" in out
    assert "missing" not in out
    assert main(["fetch", "ltx-video", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["fetched"], record["already_there"]) == (0, 6)


def test_several_models_and_a_whole_repository(served: FakeHub, tmp_path: Path) -> None:
    assert main(["fetch", "nova", "ltx-video", "nova"]) == 0
    assert len(served.downloads) == 8
    nova = tmp_path / "weights/BAAI/nova-d48w1024-osp480/transformer/model.safetensors"
    assert nova.is_file()


def test_a_pipeline_is_completed_where_fetch_puts_files(
    served: FakeHub, hub_cache: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A program reads one folder: half a copy elsewhere does not count."""
    monkeypatch.delenv("HIAR_WEIGHTS")
    old = Path.home() / ".cache/hiar/weights" / LTX / "vae/diffusion_pytorch_model.safetensors"
    old.parent.mkdir(parents=True)
    old.write_bytes(CONTENT)
    assert main(["fetch", "ltx-video"]) == 0
    capsys.readouterr()
    assert main(["show", "ltx-video", "--json"]) == 0
    weights = json.loads(capsys.readouterr().out)["weights"]
    assert all(Path(row["found"]).is_relative_to(hub_cache) for row in weights)


def test_a_pipeline_that_another_tool_fetched_is_found(
    hub_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in FILES[LTX]:
        put_in_cache(hub_cache, LTX, path, CONTENT, commit=find_model("ltx-video").revision)
    assert main(["show", "ltx-video", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights_present"]


def test_another_hash_than_the_published_one_is_refused(
    served: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.lie = "a" * 64
    assert main(["fetch", "nova"]) == 2
    assert "not the published aaaaaaaaaaaa" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.safetensors"))


def test_an_unknown_model_fetches_nothing(
    served: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "nova", "nowa"]) == 2
    assert "'nowa'" in capsys.readouterr().err
    assert served.asked == []


def test_shared_files_are_one_file() -> None:
    """The distilled models share text encoder, tokenizer and VAE with each other."""
    files = [set(find_model(key).weights) for key in ("hiar", "self-forcing", "longlive")]
    assert len(set.intersection(*files)) == 3


def test_the_repositories_without_a_pinned_revision_are_the_documented_ones() -> None:
    """All others are fetched at a commit; docs/dependencies.md says why these are not."""
    unpinned = {file.repo for spec in MODELS for file in spec.weights if file.revision == "main"}
    page = (Path(__file__).parents[3] / "docs" / "dependencies.md").read_text()
    assert unpinned == {
        "BAAI/nova-d48w1024-osp480",
        "JaydenLu666/Reward-Forcing-T2V-1.3B",
        "Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers",
        "jackyhate/HiAR",
        "rain1011/pyramid-flow-sd3",
        "sand-ai/MAGI-1",
    }
    assert all(repo in page for repo in unpinned)
