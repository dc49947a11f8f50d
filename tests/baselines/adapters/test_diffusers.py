"""LTX, Wan and SkyReels-V2: the real pipelines at tiny sizes, called as their authors call them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from baselines.adapters.adapter import (
    Adapter,
    Job,
    Options,
    random_seed,
)
from baselines.adapters.diffusers_pipeline import DiffusersPipeline
from baselines.adapters.factory import open_adapter
from baselines.cli.main import main
from baselines.errors import VideoFailedError
from baselines.lengths import find_length
from baselines.registry import find_model
from baselines.spec import Length, diffusers_layout
from baselines.weights import check_weights
from hiar.errors import UsageError

pytestmark = pytest.mark.numerics

PROMPT = "a red disc"
FOLDERS = {"wan2.1-1.3b": "wan", "skyreels-v2-1.3b": "skyreels", "ltx-video": "ltx"}
SIZES = {"ltx-video": (32, 32)}  # its VAE shrinks 32 times; the others need multiples of 16
NEGATIVE = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，\
JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，\
手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)
ReadVideo = Callable[[Path], NDArray[np.uint8]]


@pytest.fixture(params=FOLDERS)
def key(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(key: str, request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(f"{FOLDERS[key]}_folder")
    return found


def load(key: str, folder: Path) -> Adapter:
    size = SIZES.get(key, (16, 16))
    return open_adapter(find_model(key), Options(weights=str(folder), size_px=size, num_steps=2))


def job(length: Length, **changes: Any) -> Job:
    return Job(**{"prompt": PROMPT, "prompt_index": 1, "seed": 7, "length": length} | changes)


def test_videos_have_the_native_length_and_depend_on_the_seed(
    key: str, folder: Path, tmp_path: Path, read_video: ReadVideo
) -> None:
    adapter, length = load(key, folder), find_model(key).lengths[0]
    paths = [tmp_path / f"{index}.mp4" for index in range(3)]
    hashes = []
    for path, seed in zip(paths, (7, 8, 7), strict=True):
        torch.rand(3)  # what others draw from the global generator must not matter
        hashes.append(adapter.make(job(length, seed=seed), path).frames_sha256)
    videos = [read_video(path) for path in paths]
    assert videos[0].shape == (length.num_frames, *SIZES.get(key, (16, 16)), 3)
    assert hashes[0] == hashes[2] != hashes[1]
    np.testing.assert_array_equal(videos[0], videos[2])


def seeded(seed: int) -> torch.Generator:
    """A generator; the global one, which SkyReels-V2 draws from too, begins alike."""
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def call_wan(folder: Path, seed: int) -> Any:
    """As Wan2.1's README has it: 50 steps (2 here), guidance 6, shift 8."""
    pipe = diffusers.WanPipeline.from_pretrained(folder)
    pipe.scheduler = diffusers.UniPCMultistepScheduler.from_config(
        pipe.scheduler.config, flow_shift=8.0
    )
    return pipe(
        prompt=PROMPT, negative_prompt=NEGATIVE, height=16, width=16, num_frames=81,
        num_inference_steps=2, guidance_scale=6.0, generator=seeded(seed), output_type="np",
        max_sequence_length=512,
    )  # fmt: skip


def call_ltx(folder: Path, seed: int) -> Any:
    """diffusers' defaults at 24 frames a second, decoding as the 0.9.6 config has it."""
    return diffusers.LTXPipeline.from_pretrained(folder)(
        prompt=PROMPT, height=32, width=32, num_frames=121, frame_rate=24, num_inference_steps=2,
        guidance_scale=3, generator=seeded(seed), output_type="np", decode_timestep=0.05,
        decode_noise_scale=0.025, max_sequence_length=128,
        negative_prompt="worst quality, inconsistent motion, blurry, jittery, distorted",
    )  # fmt: skip


def call_skyreels(folder: Path, seed: int) -> Any:
    """10 s: 257 frames in windows of 97 with a history of 17, noised at 20."""
    pipe = diffusers.SkyReelsV2DiffusionForcingPipeline.from_pretrained(folder)
    pipe.scheduler = diffusers.UniPCMultistepScheduler.from_config(
        pipe.scheduler.config, flow_shift=8.0
    )
    return pipe(
        prompt=PROMPT, negative_prompt=NEGATIVE, height=16, width=16, num_frames=257,
        base_num_frames=97, overlap_history=17, addnoise_condition=20, ar_step=0, fps=24,
        num_inference_steps=2, guidance_scale=6.0, generator=seeded(seed), output_type="np",
    )  # fmt: skip


CALLS = {
    "wan2.1-1.3b": (call_wan, 5), "ltx-video": (call_ltx, 5),
    "skyreels-v2-1.3b": (call_skyreels, 10),
}  # fmt: skip


def test_frames_are_those_of_the_pipeline_called_by_hand(key: str, folder: Path) -> None:
    """The settings stand here a second time, from their sources."""
    call, seconds = CALLS[key]
    seed = random_seed(7, 1)
    expected = call(folder, seed).frames[0]
    adapter = load(key, folder)
    assert isinstance(adapter, DiffusersPipeline)
    found = adapter._run(PROMPT, find_length(find_model(key), seconds), seed)
    np.testing.assert_array_equal(found, expected)


def test_skyreels_at_20_s_is_cut_to_481_frames(
    skyreels_folder: Path, tmp_path: Path, read_video: ReadVideo
) -> None:
    adapter = load("skyreels-v2-1.3b", skyreels_folder)
    path = tmp_path / "video.mp4"
    adapter.make(job(find_length(find_model("skyreels-v2-1.3b"), 20)), path)
    assert len(read_video(path)) == 481


def test_timing_of_a_bidirectional_model_is_that_of_the_whole_video(
    wan_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = time_row(capsys, "wan2.1-1.3b", wan_folder)
    assert (row["kind"], row["chunk_frames"], row["windows"]) == ("bidirectional", 81, 1)
    assert row["latency_s"] == row["chunk_s"]
    assert row["throughput_fps"] == pytest.approx(81 / row["chunk_s"])
    assert row["parts"].keys() == {"text_s", "decode_s"}
    assert min(row["parts"].values()) > 0
    assert "the whole video" in row["counted"]


def test_timing_of_skyreels_is_that_of_a_window(
    skyreels_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = time_row(capsys, "skyreels-v2-1.3b", skyreels_folder, "--seconds", "10")
    assert (row["chunk_frames"], row["windows"], row["num_frames"]) == (80, 3, 241)
    assert row["latency_s"] == row["chunk_s"]
    assert row["parts"].keys() == {"text_s", "decode_s", "first_chunk_s"}
    assert "a window after the first" in row["counted"]


def time_row(
    capsys: pytest.CaptureFixture[str], key: str, folder: Path, *more: str
) -> dict[str, Any]:
    argv = ["time", key, "--weights", str(folder), "--size", "16x16", "--steps", "2", "--json"]
    assert main([*argv, "--warmup", "0", "--repeats", "1", *more]) == 0
    [row] = json.loads(capsys.readouterr().out)["rows"]
    assert row["num_inference_steps"] == 2
    return dict(row)


def test_facts_tell_weights_and_settings(ltx_folder: Path) -> None:
    facts = load("ltx-video", ltx_folder).facts()
    assert facts["settings"]["decode_timestep"] == 0.05
    assert facts["settings"]["num_inference_steps"] == 2
    assert facts["dtype"] == "float32"
    digests = {facts["weights"][name] for name in ("transformer", "vae", "text_encoder")}
    assert {len(digest) for digest in digests} == {64}
    assert len(digests) == 3


def test_the_vae_of_wan_stays_float32(wan_folder: Path) -> None:
    options = Options(weights=str(wan_folder), dtype="bfloat16", num_steps=2)
    adapter = open_adapter(find_model("wan2.1-1.3b"), options)
    assert isinstance(adapter, DiffusersPipeline)
    assert adapter.pipe.vae.dtype == torch.float32
    assert adapter.pipe.transformer.patch_embedding.weight.dtype == torch.bfloat16
    assert adapter.pipe.scheduler.config.flow_shift == 8.0


def test_a_folder_of_another_pipeline_is_one_line(wan_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds a WanPipeline, not the LTXPipeline") as error:
        open_adapter(find_model("ltx-video"), Options(weights=str(wan_folder)))
    assert "\n" not in str(error.value)
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(UsageError, match="holds a None, not the WanPipeline"):
        open_adapter(find_model("wan2.1-1.3b"), Options(weights=str(tmp_path)))


def test_a_size_that_the_pipeline_refuses_fails_the_video(wan_folder: Path, tmp_path: Path) -> None:
    adapter = open_adapter(
        find_model("wan2.1-1.3b"), Options(weights=str(wan_folder), size_px=(24, 16))
    )
    with pytest.raises(VideoFailedError, match="divisible by 16"):
        adapter.make(job(find_model("wan2.1-1.3b").lengths[0]), tmp_path / "video.mp4")
    assert list(tmp_path.iterdir()) == []


def test_frames_that_are_not_finite_fail_the_video(wan_folder: Path, tmp_path: Path) -> None:
    adapter = load("wan2.1-1.3b", wan_folder)
    assert isinstance(adapter, DiffusersPipeline)
    with torch.no_grad():
        adapter.pipe.transformer.proj_out.bias.fill_(float("nan"))
    with pytest.raises(VideoFailedError, match="not finite"):
        adapter.make(job(find_model("wan2.1-1.3b").lengths[0]), tmp_path / "video.mp4")


def test_what_is_saved_is_what_is_looked_for(key: str, folder: Path, tmp_path: Path) -> None:
    """Every part in the spec's weights exists in a saved pipeline, and none is forgotten."""
    spec = find_model(key)
    home = tmp_path / spec.repository
    home.parent.mkdir(parents=True)
    home.symlink_to(folder)
    assert spec.weights == diffusers_layout(spec.repository, spec.revision)
    assert all(status.present for status in check_weights(spec, tmp_path))
    saved = {path.name for path in folder.iterdir()}
    assert saved == {Path(file.path).name for file in spec.weights}
