"""`hiar train` and `hiar trajectories` as their users run them: real processes, tiny size."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from killed import leave_behind
from record_schema import check_record
from safetensors.torch import load_file

from hiar.model.config import WanConfig
from hiar.runtime.provenance import file_sha256
from hiar.weights.checkpoint import load_transformer

pytestmark = pytest.mark.numerics

Main = Callable[..., tuple[int, str, str]]
FAST = (
    "latent_frames=6", "run.tensorboard=false", "run.memory_check=false", "run.sample_every=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def trajectories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six short trajectories of the shipped teacher."""
    from hiar.cli.main import main

    out = tmp_path_factory.mktemp("teacher") / "paths"
    before = signal.getsignal(signal.SIGTERM)
    code = main([
        "trajectories", "--draw-prompts", "6", "--out", str(out), "--preset", "paper",
        "--steps", "4", "--saved", "0,1,2,3,-1", "--latent-frames", "6", "--shard-size", "4",
    ])  # fmt: skip
    signal.signal(signal.SIGTERM, before)
    assert code == 0
    return out


def ode_init(trajectories: Path, out: Path, *changes: str, steps: int = 6) -> list[str]:
    settings = (
        f"trajectories={trajectories}", f"steps={steps}", "ode_init.batch_size=2",
        "ode_init.ema_decay=0.5", "run.checkpoint_every=2", *FAST, *changes,
    )  # fmt: skip
    return [
        "train", "--config", "tiny-ode-init", "--out", str(out),
        *(part for setting in settings for part in ("--set", setting)),
    ]  # fmt: skip


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hiar", *arguments],
        # Gradients are summed in an order that depends on the number of threads.
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while not path.exists():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)


def test_killed_and_resumed_is_bit_identical(
    trajectories: Path, tmp_path: Path, hiar_main: Main
) -> None:
    """kill -9 once a checkpoint is there, in a real process; the resumed weights are the same."""
    code, _, err = hiar_main(*ode_init(trajectories, tmp_path / "whole"))
    assert code == 0, err
    process = start(ode_init(trajectories, tmp_path / "cut"))
    try:
        wait_for(tmp_path / "cut" / "checkpoints" / "step-00000002", process)
    finally:
        process.kill()
        process.wait()
    assert not (tmp_path / "cut" / "student.safetensors").exists()
    left = leave_behind("hiar.runtime.files", tmp_path / "cut" / "student.safetensors")
    code, out, err = hiar_main(*ode_init(trajectories, tmp_path / "cut"))
    assert code == 0, err
    assert not left.exists()
    record = json.loads((tmp_path / "cut" / "training.json").read_text())
    check_record(record)
    assert record["resumed_at"] >= 2
    assert f"{6 - record['resumed_at']} steps, 6 in all" in out
    for name in ("student", "student_ema"):
        whole, cut = (tmp_path / run / f"{name}.safetensors" for run in ("whole", "cut"))
        assert file_sha256(whole) == file_sha256(cut), name
    logs = [
        [json.loads(line) for line in (tmp_path / run / "log.jsonl").read_text().splitlines()]
        for run in ("whole", "cut")
    ]
    assert [line["step"] for line in logs[1]] == list(range(6))
    assert [line["loss"] for line in logs[0]] == [line["loss"] for line in logs[1]]
    weights = load_file(tmp_path / "whole" / "student.safetensors")
    average = load_file(tmp_path / "whole" / "student_ema.safetensors")
    assert any(not torch.equal(weights[name], average[name]) for name in weights)
    load_transformer(tmp_path / "whole" / "student.safetensors", WanConfig.tiny())
    load_transformer(tmp_path / "whole" / "student_ema.safetensors", WanConfig.tiny())
    kept = sorted(path.name for path in (tmp_path / "cut" / "checkpoints").iterdir())
    assert kept == ["step-00000004", "step-00000006"]


def test_a_distillation_goes_on_from_any_checkpoint(
    trajectories: Path, tmp_path: Path, hiar_main: Main
) -> None:
    """Student, critic, both optimisers and the average: without them the last step differs."""
    settings = (
        f"trajectories={trajectories}", "init=tiny/transformer", "steps=4", "distill.batch_size=2",
        "distill.micro_batch=1", "distill.generator_every=2", "distill.ema_start=1",
        "run.checkpoint_every=1", "run.keep_checkpoints=0", *FAST,
    )  # fmt: skip
    command = [
        "train", "--config", "tiny-distill",
        *(part for setting in settings for part in ("--set", setting)),
    ]  # fmt: skip
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    code, _, err = hiar_main(*command, "--out", whole)
    assert code == 0, err
    for first in (1, 3):
        shutil.copytree(whole, cut)
        for step in range(first + 1, 5):
            shutil.rmtree(cut / "checkpoints" / f"step-{step:08d}")
        names = sorted(path.name for path in cut.glob("*.safetensors"))
        for name in names:
            (cut / name).unlink()
        assert hiar_main(*command, "--out", cut)[0] == 0
        assert json.loads((cut / "training.json").read_text())["resumed_at"] == first
        assert names == ["student.safetensors", "student_ema.safetensors"]
        for name in names:
            assert file_sha256(whole / name) == file_sha256(cut / name), (first, name)
        shutil.rmtree(cut)


def test_another_config_is_refused_and_its_fields_are_named(
    trajectories: Path, tmp_path: Path, hiar_main: Main
) -> None:
    run = ode_init(trajectories, tmp_path / "run", steps=1)
    assert hiar_main(*run)[0] == 0
    code, _, err = hiar_main(*run, "--set", "seed=5", "--set", "ode_init.learning_rate=1e-3")
    assert code == 2
    assert "ode_init.learning_rate 0.0005, now 0.001; seed 0, now 5" in err
    assert err.count("\n") == 1
    # How a run is carried out may change.
    code, out, _ = hiar_main(*run, "--set", "run.keep_checkpoints=0")
    assert code == 0
    assert "0 steps, 1 in all" in out


def test_a_step_that_is_not_finite_stops_the_run(
    trajectories: Path, tmp_path: Path, hiar_main: Main
) -> None:
    changes = ("ode_init.learning_rate=1e30", "ode_init.schedule=constant")
    code, _, err = hiar_main(*ode_init(trajectories, tmp_path / "run", *changes))
    assert code == 2
    assert "step 1: loss is nan: training stopped and nothing was saved" in err.splitlines()[-1]
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sped=3", "config key sped is unknown: did you mean seed?"),
        ("ode_init.lerning_rate=1", "ode_init.lerning_rate is unknown: did you mean learning_rate"),
        ("steps=many", "config key steps is 'many'"),
        ("dtype=fp8", "config key dtype is 'fp8': use one of float32, bfloat16"),
        (
            "ode_init.batch_size=2.5",
            "config key ode_init.batch_size is 2.5: it must be of type int",
        ),
        ("pretrain.shift=5", "[pretrain] has no meaning in stage ode-init"),
        ("run.checkpoint_every=0", "run.checkpoint_every 0 must be at least 1"),
        ("latent_frames=7", "7 latent frames are not a whole number of blocks of 3: take 6 or 9"),
        ("latent_frames=9", "this run is of [9, 16, 6, 6]"),
        ("init=nowhere.safetensors", "no weights 'nowhere.safetensors': use tiny/teacher"),
        ("trajectories=nowhere", "no trajectories at nowhere: make them with"),
        ("run.wandb=project", "wandb is not installed"),
    ],
)
def test_wrong_settings_are_one_line(
    trajectories: Path, tmp_path: Path, hiar_main: Main, change: str, message: str
) -> None:
    code, _, err = hiar_main(*ode_init(trajectories, tmp_path / "run", change))
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "tiny-oed-init", "--out", "x"], "no config 'tiny-oed-init'"),
        (["--config", "tiny-ode-init"], "--out is missing"),
        (
            ["--config", "tiny-ode-init", "--stage", "distill", "--out", "x"],
            "is for stage ode-init",
        ),
        (["--config", "tiny-ode-init", "--out", "x", "--set", "seed"], "write key=value"),
        (["--config", "tiny-ode-init", "--out", "x", "--world-size", "2"], "is of --dry-run"),
    ],
)
def test_wrong_use_is_one_line(hiar_main: Main, arguments: list[str], message: str) -> None:
    code, _, err = hiar_main("train", *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_an_empty_prompts_file(tmp_path: Path, hiar_main: Main) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n\n")
    code, _, err = hiar_main(
        "train", "--config", "tiny-distill", "--set", f"prompts={prompts}", "--out", tmp_path / "x",
        "--set", "init=tiny/transformer", "--set", "trajectories=", "--set", "distill.row=no-fkl",
    )  # fmt: skip
    assert code == 2
    assert f"the prompt file {prompts} has no prompt" in err


def test_pretrain_learns_and_shows_what_it_makes(tmp_path: Path, hiar_main: Main) -> None:
    settings = (
        "steps=8", "num_clips=2", "pretrain.batch_size=2", "pretrain.text_dropout=0.0",
        "pretrain.warmup_steps=1", "run.sample_every=8", "run.sample_prompts=1",
        "run.sample_latent_frames=6", "latent_frames=6", "run.memory_check=false",
    )  # fmt: skip
    code, _, err = hiar_main(
        "train", "--stage", "pretrain", "--config", "tiny-pretrain", "--out", tmp_path,
        *(part for setting in settings for part in ("--set", setting)),
    )  # fmt: skip
    assert code == 0, err
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < log[0]["loss"]
    assert all(line["seconds"] > 0 and line["peak_memory_bytes"] > 1e8 for line in log)
    shown = [json.loads(line) for line in (tmp_path / "dynamics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in shown] == [0, 8]
    assert all(line[name] > 0 for line in shown for name in ("causal", "bidirectional"))
    folder = tmp_path / "samples" / "step-00000008"
    assert {path.name for path in folder.iterdir()} == {
        "causal-00.mp4", "bidirectional-00.mp4", "contact_sheet.png",
    }  # fmt: skip
    assert list((tmp_path / "tensorboard").iterdir())
