"""NOVA, Pyramid Flow and MAGI-1 with fake programs, which fail in every way that real ones do."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killed import is_alive
from numpy.typing import NDArray
from program_environment import make_environment

from baselines.adapters import process
from baselines.adapters.adapter import Job, Options, random_seed
from baselines.adapters.external_command import ExternalCommand
from baselines.adapters.factory import open_adapter
from baselines.adapters.process import Program
from baselines.cli.main import main
from baselines.errors import VideoFailedError
from baselines.registry import find_model
from baselines.spec import ModelSpec
from baselines.weights import check_weights
from drift import child_process
from hiar.errors import UsageError

SIZE = (32, 48)
MAGI = find_model("magi-1-4.5b")
ReadVideo = Callable[[Path], NDArray[np.uint8]]

# Stands in for MAGI-1's entry.py: the prompt says what goes wrong.
ENTRY = """
import argparse, json, os, signal, subprocess, sys, time
from pathlib import Path

parser = argparse.ArgumentParser()
for name in ("--config_file", "--mode", "--prompt", "--output_path"):
    parser.add_argument(name)
args = parser.parse_args()
config = json.loads(Path(args.config_file).read_text())
settings = config["runtime_config"]
here = Path(__file__).parent
facts = {"config": config, "mode": args.mode, "folder": os.getcwd()}
(here / "seen.json").write_text(json.dumps(facts | {"environment": dict(os.environ)}))
word = args.prompt.split()[0]
if word == "crash":
    print("loading")
    sys.exit("CUDA error: no kernel image is available")
if word == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if word in ("hang", "deaf"):
    if word == "deaf":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    (here / "pids").write_text(f"{os.getpid()} {child.pid}")
    print("step 1 of 64", flush=True)
    time.sleep(300)
if word == "silent":
    sys.exit()
import numpy as np
from hiar.codecs.video import write_mp4

frames, height, width = (settings[n] for n in ("num_frames", "video_size_h", "video_size_w"))
frames -= 24 * (word == "short")
height //= 1 + (word == "small")
picture = np.full((height, width, 3), 10 + settings["seed"] % 200, np.uint8)
write_mp4(Path(args.output_path), [picture] * frames, settings["fps"])
if word == "partial":
    data = Path(args.output_path).read_bytes()
    Path(args.output_path).write_bytes(data[: len(data) // 2])
if word == "text":
    Path(args.output_path).write_text("no video")
"""


def put_weights(spec: ModelSpec, folder: Path) -> None:
    for status in check_weights(spec, folder):
        path = status.target / "inference_weight/a.safetensors"
        for target in (path, status.target / "b.safetensors"):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"weights")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = {
        "model_config": {"num_layers": 34},
        "runtime_config": {"seed": 1234, "num_frames": 96, "clean_t": 0.9999, "num_steps": 8},
    }
    assert MAGI.command is not None
    assert MAGI.command.config_base is not None
    files = {"inference/pipeline/entry.py": ENTRY, MAGI.command.config_base: json.dumps(config)}
    return make_environment(tmp_path_factory.mktemp("magi") / "env", files)


@pytest.fixture
def magi(environment: Path, weights_home: Path) -> Iterator[ExternalCommand]:
    put_weights(MAGI, weights_home)
    adapter = open_adapter(MAGI, Options(environment=environment, size_px=SIZE, timeout_s=60))
    assert isinstance(adapter, ExternalCommand)
    yield adapter
    adapter.close()


def job(prompt: str, spec: ModelSpec = MAGI, **changes: Any) -> Job:
    return Job(
        **{"prompt": prompt, "prompt_index": 2, "seed": 5, "length": spec.lengths[0]} | changes
    )


def test_a_video_and_what_the_program_was_asked_for(
    magi: ExternalCommand,
    environment: Path,
    weights_home: Path,
    tmp_path: Path,
    read_video: ReadVideo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")
    magi.make(job("well {code} done"), tmp_path / "video.mp4")
    seen = json.loads((environment / "code/inference/pipeline/seen.json").read_text())
    weights = weights_home / "sand-ai/MAGI-1/ckpt"
    assert seen["config"] == {
        "model_config": {"num_layers": 34},
        "runtime_config": {
            "clean_t": 0.9999, "seed": random_seed(5, 2), "num_frames": 120, "num_steps": 64,
            "cfg_number": 3, "window_size": 4, "chunk_width": 6, "fps": 24, "video_size_h": 32,
            "video_size_w": 48, "load": str(weights / "magi/4.5B_base"),
            "t5_pretrained": str(weights / "t5"), "vae_pretrained": str(weights / "vae"),
        },
    }  # fmt: skip
    assert (seen["mode"], Path(seen["folder"])) == ("t2v", environment / "code")
    assert seen["environment"]["WORLD_SIZE"] == "1"
    assert seen["environment"]["OFFLOAD_T5_CACHE"] == "true"
    assert "LOCAL_RANK" not in seen["environment"]
    frames = read_video(tmp_path / "video.mp4")
    assert frames.shape == (120, *SIZE, 3)
    assert abs(int(frames[0, 0, 0, 0]) - (10 + random_seed(5, 2) % 200)) <= 3
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]  # no log, no folder of work


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("crash", r"ended with exit code 1: CUDA error: no kernel image is available \(log: "),
        ("killed", "was ended by signal SIGKILL"),
        ("silent", r"ended well and wrote no video \(log: "),
        ("short", "too short: 96 of 120 frames"),
        ("small", "16x48 px, not 32x48"),
        ("partial", "the video is (truncated|unreadable): "),
        ("text", "the video is unreadable: "),
    ],
)
def test_each_failure_is_one_line_and_leaves_no_video(
    magi: ExternalCommand, tmp_path: Path, prompt: str, message: str
) -> None:
    with pytest.raises(VideoFailedError, match=message) as error:
        magi.make(job(prompt), tmp_path / "video.mp4")
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["video.log"]
    log = (tmp_path / "video.log").read_text()
    assert log.startswith("$ ")
    if prompt == "crash":
        assert "loading" in log


@pytest.mark.parametrize("prompt", ["hang", "deaf"])
def test_a_program_that_hangs_is_ended_with_its_children(
    environment: Path, weights_home: Path, tmp_path: Path, prompt: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(child_process, "GRACE_S", 0.5)
    put_weights(MAGI, weights_home)
    pids = environment / "code/inference/pipeline/pids"
    pids.unlink(missing_ok=True)
    adapter = open_adapter(MAGI, Options(environment=environment, size_px=SIZE, timeout_s=4))
    with pytest.raises(VideoFailedError, match=r"stopped after 4 s \(--timeout\): step 1 of 64"):
        adapter.make(job(prompt), tmp_path / "video.mp4")
    numbers = [int(word) for word in pids.read_text().split()]
    deadline = time.monotonic() + 10
    while any(map(is_alive, numbers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, numbers))


def test_one_failure_leaves_the_other_videos_and_exit_code_1(
    environment: Path, weights_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_weights(MAGI, weights_home)
    (tmp_path / "prompts.txt").write_text("well one\ncrash two\n")
    argv = ["generate", "magi-1-4.5b", "--prompts", str(tmp_path / "prompts.txt"), "--out",
            str(tmp_path / "out"), "--environment", str(environment), "--size", "32x48",
            "--seconds", "5"]  # fmt: skip
    assert main(argv) == 1
    captured = capsys.readouterr()
    assert "1 made" in captured.out
    assert "1 failed" in captured.out
    assert "exit code 1: CUDA error" in captured.err
    assert len(list((tmp_path / "out").glob("*.mp4"))) == 1
    [failure] = json.loads((tmp_path / "out/run.json").read_text())["failed"]
    assert failure["prompt"] == "crash two"
    assert main(argv) == 1  # only the one that failed is tried again
    assert "0 made" in capsys.readouterr().out


@pytest.mark.parametrize("named", ["total", "generate"])
def test_time_is_what_a_longer_video_takes_more(
    environment: Path, weights_home: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, named: str,
) -> None:  # fmt: skip
    """Loading takes 40 s and a chunk 0.5 s: 120 frames are 5 chunks, 480 frames are 20."""
    put_weights(MAGI, weights_home)

    def run(_self: ExternalCommand, job: Job, *_: Path) -> tuple[dict[str, float], Path]:
        seconds = 40 + 0.5 * job.length.num_frames / 24
        return {"total": 99.0, named: seconds}, Path()

    monkeypatch.setattr(ExternalCommand, "_run", run)
    argv = ["time", "magi-1-4.5b", "--environment", str(environment), "--warmup", "0", "--json"]
    assert main(argv) == 0
    record = json.loads(capsys.readouterr().out)
    [row] = record["rows"]
    assert row["chunk_frames"] == 24
    assert row["latency_s"] == row["chunk_s"] == pytest.approx(0.5)
    assert row["throughput_fps"] == pytest.approx(48)
    assert row["parts"] == {"short_video_s": 42.5, "long_video_s": 50}
    assert row["counted"].endswith("480 frames less 120 frames, over 15 chunks")
    assert (row["dtype"], row["repeats"]) == ("its program's", 3)
    assert record["provenance"]["peak_memory_bytes"] is None


def test_a_machine_too_uneven_to_measure_is_said(
    environment: Path, weights_home: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    put_weights(MAGI, weights_home)
    monkeypatch.setattr(ExternalCommand, "_run", lambda *_: ({"total": 3.0}, Path()))
    assert main(["time", "magi-1-4.5b", "--environment", str(environment)]) == 2
    assert "too uneven" in capsys.readouterr().err


def test_a_checkout_without_its_config_is_wrong_use(weights_home: Path, tmp_path: Path) -> None:
    put_weights(MAGI, weights_home)
    home = make_environment(tmp_path / "env", {"inference/pipeline/entry.py": ENTRY})
    adapter = open_adapter(MAGI, Options(environment=home, size_px=SIZE))
    with pytest.raises(UsageError, match="is the checkout at 6ff822e"):
        adapter.make(job("well"), tmp_path / "video.mp4")


def test_an_interpreter_that_cannot_be_started(
    environment: Path, weights_home: Path, tmp_path: Path
) -> None:
    put_weights(MAGI, weights_home)
    home = tmp_path / "env"
    (home / "venv/bin").mkdir(parents=True)
    (home / "venv/bin/python").write_text("not executable")
    (home / "code").symlink_to(environment / "code")
    adapter = open_adapter(MAGI, Options(environment=home, size_px=SIZE))
    with pytest.raises(VideoFailedError, match=r"exit code 127: .*Permission denied"):
        adapter.make(job("well"), tmp_path / "video.mp4")


def test_steps_replace_a_number_but_not_a_list(environment: Path, weights_home: Path) -> None:
    put_weights(MAGI, weights_home)
    adapter = open_adapter(MAGI, Options(environment=environment, num_steps=3))
    assert adapter.facts()["settings"]["num_steps"] == 3
    pyramid = find_model("pyramid-flow")
    put_weights(pyramid, weights_home)
    with pytest.raises(UsageError, match="--steps does not fit pyramid-flow"):
        open_adapter(pyramid, Options(environment=environment, num_steps=3))


# The packages that our runner imports in the environments of NOVA and Pyramid Flow.
DIFFNEXT = """
import os
import numpy as np
import torch

class Output:
    def __init__(self, frames):
        self.frames = frames

class NOVAPipeline:
    @classmethod
    def from_pretrained(cls, path, torch_dtype, trust_remote_code):
        assert os.path.isdir(path) and torch_dtype is torch.float16 and trust_remote_code
        print("loaded", flush=True)
        return cls()

    def to(self, device):
        self.device = device
        return self

    def __call__(self, prompt, generator, output_type, max_latent_length, num_inference_steps,
                 num_diffusion_steps, guidance_scale, motion_flow):
        assert (num_inference_steps, num_diffusion_steps) == (128, 100)
        assert (guidance_scale, motion_flow, output_type) == (7.0, 5, "np")
        if prompt == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory")
        if prompt == "exit":
            os._exit(7)
        level = int(torch.randint(200, (), generator=generator))
        frames = 4 * (max_latent_length - 1) + 1
        return Output(np.full((1, frames, 480, 768, 3), level, np.uint8))
"""
PYRAMID = """
import torch
from PIL import Image

class Part:
    def to(self, device): return self
    def enable_tiling(self): pass

class PyramidDiTForVideoGeneration:
    def __init__(self, path, model_name, model_dtype, model_variant):
        assert (model_name, model_dtype) == ("pyramid_mmdit", "bf16")
        assert model_variant == "diffusion_transformer_384p"
        self.vae, self.dit, self.text_encoder = Part(), Part(), Part()

    def generate(self, prompt, height, width, temp, num_inference_steps, video_num_inference_steps,
                 guidance_scale, video_guidance_scale, save_memory, output_type, generator):
        assert num_inference_steps == [20, 20, 20] and video_num_inference_steps == [10, 10, 10]
        assert (guidance_scale, video_guidance_scale, save_memory) == (7.0, 5.0, False)
        level = int(torch.randint(200, ()))
        return [Image.new("RGB", (width, height), (level,) * 3) for _ in range(8 * (temp - 1) + 1)]
"""


def open_runner(
    key: str, files: dict[str, str], folder: Path, weights: Path, **options: Any
) -> ExternalCommand:
    spec = find_model(key)
    put_weights(spec, weights)
    home = make_environment(folder / "env", files)
    adapter = open_adapter(spec, Options(environment=home, **options))
    assert isinstance(adapter, ExternalCommand)
    return adapter


def test_nova_stays_loaded_from_video_to_video(
    weights_home: Path, tmp_path: Path, read_video: ReadVideo
) -> None:
    nova, out = find_model("nova"), tmp_path / "out"
    files = {"diffnext/__init__.py": "", "diffnext/pipelines.py": DIFFNEXT}
    adapter = open_runner("nova", files, tmp_path, weights_home)
    try:
        first = adapter.make(job("one", nova), out / "a.mp4")
        assert 0 < first.seconds["generate"] <= first.seconds["total"]
        with pytest.raises(VideoFailedError, match="failed: OutOfMemoryError: CUDA out of memory"):
            adapter.make(job("memory", nova), out / "b.mp4")
        assert (out / "nova.log").read_text().count("loaded\n") == 1
        with pytest.raises(VideoFailedError, match=r"ended with exit code 7.*nova\.log"):
            adapter.make(job("exit", nova), out / "c.mp4")
        again = adapter.make(job("one", nova), out / "d.mp4")
        assert (out / "nova.log").read_text().count("loaded\n") == 2
    finally:
        adapter.close()
    assert sorted(path.name for path in out.glob("*.mp4")) == ["a.mp4", "d.mp4"]
    assert read_video(out / "a.mp4").shape == (33, 480, 768, 3)
    assert first.frames_sha256 == again.frames_sha256


def test_pyramid_flow_gets_its_lists_and_the_global_seed(
    weights_home: Path, tmp_path: Path, read_video: ReadVideo
) -> None:
    spec = find_model("pyramid-flow")
    adapter = open_runner("pyramid-flow", {"pyramid_dit.py": PYRAMID}, tmp_path, weights_home,
                          size_px=(32, 64))  # fmt: skip
    try:
        hashes = {
            adapter.make(job("one", spec), tmp_path / name).frames_sha256
            for name in ("a.mp4", "b.mp4")
        }
    finally:
        adapter.close()
    assert read_video(tmp_path / "a.mp4").shape == (121, 32, 64, 3)
    assert len(hashes) == 1


def test_a_runner_that_cannot_import_says_so(weights_home: Path, tmp_path: Path) -> None:
    adapter = open_runner("nova", {"README.md": ""}, tmp_path, weights_home)
    with pytest.raises(VideoFailedError, match=r"exit code 1: ModuleNotFoundError.*diffnext"):
        adapter.make(job("one", find_model("nova")), tmp_path / "out/video.mp4")
    assert not list((tmp_path / "out").glob("*.mp4"))


def test_a_log_of_bytes_and_a_condition_that_never_comes(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.buffer.write(b'\\xff bad \\n'); sys.stdin.readline()"
    program = Program([sys.executable, "-c", code], tmp_path, {}, tmp_path / "log")
    program.send("go")
    with pytest.raises(VideoFailedError, match=r"ended with exit code 0: . bad"):
        program.wait(30, until=lambda: False)
    program.send("nobody listens")
    program.stop()
    assert not program.is_running


def test_one_gpu_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert process.visible_devices("cuda:2") == {"CUDA_VISIBLE_DEVICES": "2"}
    assert process.visible_devices("cuda") == process.visible_devices("cpu") == {}
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
