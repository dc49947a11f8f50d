"""hiar-baselines and the search for weights, on folders made here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from baselines.cli.main import main
from baselines.registry import MODELS, find_model
from baselines.run.status import count_gpus
from baselines.weights import check_weights


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HIAR_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HIAR_ENVIRONMENTS", str(tmp_path / "environments"))
    return tmp_path


def run_json(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    assert main([*argv, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["schema"] == "baselines/2"
    return record


def put(path: Path, content: str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def put_everything(key: str, folder: Path) -> None:
    """Makes one file for each thing that the model needs."""
    names = {"*": "a.bin", "*.safetensors": "a.safetensors", "**/*": "a/b.bin"}
    for status in check_weights(find_model(key), folder):
        if not status.file.is_folder:
            put(status.target)
        else:
            pattern = status.file.present
            put(status.target / names.get(pattern, pattern.replace("*", "a.bin")))


def test_list_is_a_line_a_model_and_details_in_100_columns(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baselines.run.status.NVIDIA", folder / "no-driver")
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[2:])) <= 100  # but for the two folders' own paths
    rows = {line.split()[0]: line for line in lines if line and line[0] != " "}
    assert all(spec.key in rows for spec in MODELS)
    assert rows["magi-1-4.5b"].endswith("0/3   weights, environment, GPU")
    assert "5, 20 " in rows["hiar"]
    assert "hiar, averaged-sink" in rows["reward-forcing"]
    below = lines[lines.index(rows["longlive"]) + 1 :][:3]
    facts = ("licence", "trained on: 59.81 s", "12 latent frames, 3 of them sink", "published 20.7")
    assert all(fact in " ".join(below) for fact in facts)
    assert any(line.startswith("waveforcing ") and "8 Hopper GPUs" in line for line in lines)
    put_everything("hiar", folder)
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines if line and line[0] != " "}
    assert rows["hiar"].endswith("4/4   nothing; CPU: hours each")
    assert rows["self-forcing"].endswith("3/4   weights")


def test_show_names_file_address_and_place(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "hiar"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    place = lines.index(f"missing  {folder}/jackyhate/HiAR/hiar.pt")
    assert lines[place + 1] == "from https://huggingface.co/jackyhate/HiAR/resolve/main/hiar.pt"


def test_show_has_the_recipe_of_an_environment(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "pyramid-flow"]) == 0
    out = capsys.readouterr().out
    code = folder / "environments/pyramid-flow/code"
    assert f"git clone https://github.com/jy0205/Pyramid-Flow {code}" in out
    assert f"git -C {code} checkout 3040d71" in out


def test_an_environment_counts_when_all_of_it_is_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = folder / "environments/nova"
    assert "environment" in run_json(capsys, "show", "nova")["needs"]
    put(home / "venv/bin/python")
    assert run_json(capsys, "show", "nova")["environment_missing"] == [str(home / "code")]
    put(home / "code/README.md")
    assert run_json(capsys, "show", "nova")["environment_missing"] == []


def test_gpus_are_counted_without_torch(tmp_path: Path) -> None:
    assert count_gpus(tmp_path / "none") == 0
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    assert count_gpus(tmp_path) == 2


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
        "made_frames": None,
        "arguments": {"latent_frames": 21},
        "seconds": 81 / 16,
    }
    assert main(["show", "causvid"]) == 0
    out = capsys.readouterr().out
    assert "wan_causal_dmd_warp_4step_cfg2.yaml" in out
    assert "windows=5, cut from 360 frames" in out


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
    assert main(["generate", "hiar"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nova", "--seconds", "20"], "nova does not make 20 s; its own code makes 2.75 s"),
        (
            ["wan2.1-1.3b", "--seconds", "20"],
            "wan2.1-1.3b does not make 20 s",
        ),
        (["skyreels-v2-1.3b", "--seconds", "5"], "makes 4, 10, 20, 30, 60 s"),
        (["hiar", "--steps", "2"], "--steps does not fit hiar"),
        (["nova", "--size", "32x32"], "--size does not fit nova"),
        (["nova", "--dtype", "float32"], "--dtype does not fit nova"),
        (["pyramid-flow"], "the environment of pyramid-flow is missing"),
        (["hiar"], "hiar weights fetch hiar"),
        (["ltx-video"], "weights of ltx-video are missing: https://huggingface.co/Lightricks"),
        (["ltx-video", "--weights", "nowhere"], "nowhere is no pipeline"),
        (["hiar", "--device", "cuda:99"], "'cuda:99' is not here"),
    ],
)
@pytest.mark.parametrize("command", ["generate", "time"])
def test_what_cannot_be_done_is_one_line(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    arguments: list[str],
    message: str,
) -> None:
    making = ["--prompt", "a disc", "--out", str(folder / "out")] if command == "generate" else []
    assert main([command, *arguments, *making]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not list(folder.glob("out/*"))


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "baselines", "show", "hair"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
