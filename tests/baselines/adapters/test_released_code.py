"""`time --random-weights` with a stand-in for the released code, on whose clock a call is 0.5 s."""

import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch
from program_environment import make_environment

from baselines.adapters import released_code
from baselines.cli.main import main
from baselines.registry import find_model
from baselines.runners.release_runner import variable_length_attention
from drift.errors import UsageError
from hiar.model.config import WanConfig
from reports.records.speed_records import read_timing

LATENT_SIZE = (4, 6)
SIZES = WanConfig(
    dim=16, ffn_dim=16, num_heads=2, num_layers=1, freq_dim=16, text_dim=64, text_len=8
)

# Stands in for the release's pipeline: the same constructor, attributes, call and order of calls.
PIPELINE = """
import json, time, types
from pathlib import Path
import torch
from flash_attn import flash_attn_varlen_func
from hiar.model.config import WanConfig
from hiar.weights.checkpoint import load_transformer

now = [0.0]
time.perf_counter = lambda: now[0]
HERE, FOLDER = Path(__file__).parent, Path("wan_models/Wan2.1-T2V-1.3B")


class Generator(torch.nn.Module):
    def __init__(self, timestep_shift, is_causal):
        super().__init__()
        config = json.loads((FOLDER / "config.json").read_text())
        del config["_class_name"], config["model_type"]
        sizes = {"in_channels": config.pop("in_dim"), "out_channels": config.pop("out_dim")}
        path = FOLDER / "diffusion_pytorch_model.safetensors"
        config = WanConfig(**config, **sizes, text_dim=64)
        self.loaded = load_transformer(path, config, dtype=torch.bfloat16)  # a strict load
        block = types.SimpleNamespace(self_attn=types.SimpleNamespace())
        self.model = types.SimpleNamespace(local_attn_size=-1, blocks=[block])

    def forward(self, noise, conditional_dict, current_start):
        q = torch.ones(5, 2, 8)
        assert flash_attn_varlen_func(
            q=q, k=q, v=q, cu_seqlens_q=torch.tensor([0, 5]), cu_seqlens_k=torch.tensor([0, 5]),
            max_seqlen_q=5, max_seqlen_k=5, causal=False, deterministic=False,
        ).shape == q.shape
        now[0] += 0.5


class CausalInferencePipeline(torch.nn.Module):
    num_frame_per_block, frame_seq_length, local_attn_size = 3, 7, -1

    def __init__(self, args, device, text_encoder, vae):
        super().__init__()
        assert args.context_noise == 0  # of default_config.yaml
        self.generator = Generator(**args.model_kwargs, is_causal=True)
        self.text_encoder, self.vae = text_encoder, vae
        self.steps = len(args.denoising_step_list)

    def run(self, noise, text_prompts, cells):
        text = self.text_encoder(text_prompts=text_prompts)
        attention = self.generator.model.blocks[0].self_attn
        seen = {
            "noise": list(noise.shape), "dtype": str(noise.dtype), "window": self.local_attn_size,
            "text": list(text["prompt_embeds"].shape), "attention": vars(attention),
        }
        (HERE / "seen.json").write_text(json.dumps(seen))
        for block in cells:
            self.generator(noise, conditional_dict=text, current_start=block * 3 * 7)
        self.vae.decode_to_pixel(noise, use_cache=False)

    def inference(self, noise, text_prompts):
        blocks = range(noise.shape[1] // 3)
        self.run(noise, text_prompts, [b for b in blocks for _ in range(self.steps + 1)])

    def inference_hybrid(self, noise, text_prompts, frame_first_steps):
        assert frame_first_steps == 0
        blocks = range(noise.shape[1] // 3)
        self.run(noise, text_prompts, [b for _ in range(self.steps) for b in blocks for _ in "12"])
"""
CONFIG = """
denoising_step_list: [1000, 750, 500, 250]
model_kwargs:
  timestep_shift: 5.0
"""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in, and a transformer and a picture that are small."""
    monkeypatch.setattr(WanConfig, "wan_1_3b", lambda: SIZES)
    monkeypatch.setattr(released_code, "latent_size", lambda _spec: LATENT_SIZE)
    files = {
        "pipeline/__init__.py": PIPELINE,
        "configs/default_config.yaml": "context_noise: 0\n",
        "configs/hiar.yaml": CONFIG,
        "configs/self_forcing_dmd.yaml": CONFIG,
    }
    return make_environment(tmp_path / "env", files)


def time_argv(key: str, environment: Path, *more: str) -> list[str]:
    return ["time", key, "--random-weights", "--environment", str(environment), "--warmup", "1",
            "--repeats", "1", *more]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "passes", "seconds"), [("hiar", 8, 20), ("self-forcing", 5, 20), ("hiar", 8, 5)]
)
def test_the_release_and_this_toolkit_are_two_rows(
    key: str, passes: int, seconds: int, environment: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "time.json"
    more = ("--seconds", str(seconds), "--json", "--out", str(out))
    assert main(time_argv(key, environment, *more)) == 0
    record = json.loads(capsys.readouterr().out)
    release, ours = record["rows"]
    blocks = 27 if seconds == 20 else 7
    assert release["chunk_s"] == release["latency_s"] == 0.5 * passes
    assert release["throughput_fps"] == 12 / (0.5 * passes)
    assert release["parts"] == {"video_s": 0.5 * passes * blocks}
    assert release["passes_per_chunk"] == ours["passes_per_chunk"] == passes
    assert ours["times_the_release"] == release["chunk_s"] / ours["chunk_s"]
    assert {row["dtype"] for row in record["rows"]} == {"bfloat16"}
    assert release["num_frames"] == ours["num_frames"] == 12 * blocks - 3
    code = find_model(key).code
    assert code is not None
    assert release["code"].endswith(code.environment.commit)
    assert "flash_attn" in release["attention"]
    assert "flash_attn" not in ours["attention"]
    seen = json.loads((environment / "code/pipeline/seen.json").read_text())
    rolling = {"local_attn_size": 21, "max_attention_size": 21 * 7}
    assert seen == {
        "noise": [1, 3 * blocks, 16, *LATENT_SIZE], "dtype": "torch.bfloat16", "text": [1, 8, 64],
        "window": 21 if seconds == 20 else -1, "attention": rolling if seconds == 20 else {},
    }  # fmt: skip

    assert record["provenance"]["model"]["weights"] == {"transformer": "random"}
    assert {row["weights"] for row in record["rows"]} == {"random"}
    with pytest.raises(UsageError, match="baselines-time-random/1"):
        read_timing(out)  # no table takes it


def test_a_release_that_fails_is_one_line(
    environment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = environment / "code/pipeline/__init__.py"
    code.write_text("raise RuntimeError('Found no NVIDIA driver')\n")
    assert main(time_argv("hiar", environment)) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert "RuntimeError: Found no NVIDIA driver" in error
    assert str(environment / "timing.log") in error


@pytest.mark.parametrize(
    ("key", "more", "named"),
    [
        ("causvid", (), "self-forcing and hiar"),
        ("hiar", ("--weights", "tiny"), "--weights"),
        ("hiar", ("--dtype", "float32"), "--dtype"),
        ("hiar", ("--size", "16x16"), "--size"),
        ("hiar", ("--steps", "2"), "--steps"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    key: str, more: tuple[str, ...], named: str, environment: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert main(time_argv(key, environment, *more)) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert named in error


def test_a_missing_environment_is_named_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(time_argv("hiar", tmp_path / "nowhere")) == 2
    assert "`hiar-baselines show hiar` has the commands" in capsys.readouterr().err


def test_a_disk_with_too_little_room(
    environment: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(9, 9, 10))
    assert main(time_argv("hiar", environment)) == 2
    assert "set TMPDIR" in capsys.readouterr().err


def test_attention_in_the_place_of_flash_attn() -> None:
    """One query and three keys by hand: softmax of the scaled products weighs the values."""
    arguments: dict[str, Any] = {
        "cu_seqlens_q": torch.tensor([0, 1]), "cu_seqlens_k": torch.tensor([0, 3])
    }  # fmt: skip
    q = torch.tensor([[[2.0]]])  # [L, N, K]
    k = torch.tensor([[[0.0]], [[1.0]], [[3.0]]])
    v = torch.tensor([[[1.0]], [[10.0]], [[100.0]]])
    weights = torch.tensor([0.0, 2.0, 6.0]).softmax(0)
    expected = float(weights @ v.flatten())
    out = variable_length_attention(q, k, v, softmax_scale=1.0, **arguments)
    assert out.shape == (1, 1, 1)
    assert float(out) == pytest.approx(expected, rel=1e-5)
