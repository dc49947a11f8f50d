"""hiar-baselines and the search for weights, on folders made here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from baselines.cli import main
from baselines.registry import MODELS, find_model
from baselines.weights import check_weights


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HIAR_WEIGHTS", str(tmp_path))
    return tmp_path


def run_json(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    assert main([*argv, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["schema"] == "baselines/1"
    return record


def put(path: Path, content: str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def put_everything(key: str, folder: Path) -> None:
    """Makes one file for each thing that the model needs."""
    names = {"*": "a.bin", "*.safetensors": "a.safetensors"}
    for status in check_weights(find_model(key), folder):
        if not status.file.is_folder:
            put(status.target)
        else:
            pattern = status.file.present
            put(status.target / names.get(pattern, pattern.replace("*", "a.bin")))


def test_list_names_every_model_and_where_to_fetch(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(spec.key in out for spec in MODELS)
    address = "https://huggingface.co/jackyhate/HiAR/resolve/main/hiar.pt"
    assert f"{address} -> {folder}/jackyhate/HiAR/hiar.pt" in out
    # Four models share the base model's text encoder; it is listed once.
    assert out.count(f"-> {folder}/Wan-AI/Wan2.1-T2V-1.3B-Diffusers/text_encoder\n") == 1


@pytest.mark.parametrize("key", [spec.key for spec in MODELS])
def test_weights_turn_from_missing_to_present(
    folder: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    assert not run_json(capsys, "show", key)["weights_present"]
    put_everything(key, folder)
    assert run_json(capsys, "show", key)["weights_present"]
    models = run_json(capsys, "list")["models"]
    assert next(m for m in models if m["key"] == key)["weights_present"]


def test_empty_and_partial_files_are_missing(folder: Path) -> None:
    put_everything("hiar", folder)
    target = folder / "jackyhate/HiAR/hiar.pt"
    assert all(status.present for status in check_weights(find_model("hiar"), folder))
    target.write_text("")
    assert not next(s.present for s in check_weights(find_model("hiar"), folder))
    magi = folder / "sand-ai/MAGI-1/ckpt/vae"
    put(magi / "vae.bin.part")
    assert not check_weights(find_model("magi-1-4.5b"), folder)[2].present


def test_show_gives_settings_sources_and_the_sampler(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = run_json(capsys, "show", "causvid")
    assert record["distilled"]["shift"] == 8.0
    assert record["distilled"]["steps"] == [1000, 750, 500, 250]
    assert record["lengths"][0] == {
        "num_frames": 81,
        "setting": "21 latent frames",
        "seconds": 81 / 16,
    }
    assert main(["show", "causvid"]) == 0
    out = capsys.readouterr().out
    assert "wan_causal_dmd_warp_4step_cfg2.yaml" in out
    assert "hf download tianweiy/CausVid" in out


def test_user_mistakes_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["show", "hair"]) == 2
    err = capsys.readouterr().err
    assert "'hair'" in err
    assert all(spec.key in err for spec in MODELS)
    assert err.count("\n") == 1
    put(tmp_path / "file")
    monkeypatch.setenv("HIAR_WEIGHTS", str(tmp_path / "file"))
    assert main(["list"]) == 2
    assert "HIAR_WEIGHTS" in capsys.readouterr().err


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "baselines", "show", "hair"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
