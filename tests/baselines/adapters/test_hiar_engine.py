"""The distilled family over hiar: its videos are hiar's own, whatever is made beside them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from record_schema import check_record

from baselines.adapters.adapter import Job, Made, Options
from baselines.adapters.factory import open_adapter
from baselines.adapters.hiar_engine import HiarEngine
from baselines.adapters.overlapping import overlapping_windows
from baselines.cli.main import main
from baselines.registry import find_model
from baselines.spec import Length
from hiar.cli.main import main as hiar_main
from hiar.pipeline import HiARPipeline
from hiar.sampling.config import SamplerConfig
from hiar.sampling.noise import keyed_noise
from hiar.sampling.sampler import sample_latents

pytestmark = pytest.mark.numerics

SIZE = (16, 16)
PROMPTS = ("a red disc moves left over a grey background, still", "a blue ring stands, still")
ReadVideo = Callable[[Path], NDArray[np.uint8]]


def run_json(capsys: pytest.CaptureFixture[str], *argv: object) -> dict[str, Any]:
    assert main([*map(str, argv), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def make(key: str, prompt_index: int, path: Path, latent_frames: int) -> Made:
    """A video of a length of the test's own."""
    engine = open_adapter(find_model(key), Options(weights="tiny", size_px=SIZE))
    length = Length(
        num_frames=4 * (latent_frames - 1) + 1, arguments={"latent_frames": latent_frames}
    )
    prompt = PROMPTS[prompt_index]
    return engine.make(Job(prompt=prompt, prompt_index=prompt_index, seed=3, length=length), path)


@pytest.mark.parametrize(
    ("key", "latent_frames", "settings"),
    [
        ("hiar", 6, ["--order", "step_first"]),
        ("self-forcing", 6, ["--order", "block_first"]),
        ("longlive", 15, ["--order", "block_first", "--window", "12", "--sink", "3"]),
    ],
)
def test_videos_are_those_of_hiar_sample(
    tmp_path: Path, read_video: ReadVideo, key: str, latent_frames: int, settings: list[str]
) -> None:
    """Made alone, the second video of a list is the same as among the others."""
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS))
    argv = ["sample", "--prompts", str(tmp_path / "prompts.txt"), "--out", str(tmp_path / "hiar")]
    argv += [
        "--latent-frames",
        str(latent_frames),
        "--size",
        "16x16",
        "--seed",
        "3",
        "--batch-size",
        "1",
        *settings,
    ]
    assert hiar_main(argv) == 0
    video = sorted(tmp_path.glob("hiar/*.mp4"))[1]
    expected = json.loads(video.with_suffix(".json").read_text())
    found = make(key, 1, tmp_path / "one.mp4", latent_frames)
    assert found.latents_sha256 == expected["latents_sha256"]
    assert found.frames_sha256 == expected["frames_sha256"]
    np.testing.assert_array_equal(read_video(tmp_path / "one.mp4"), read_video(video))


def test_a_video_depends_on_its_place_in_the_list(tmp_path: Path) -> None:
    digests = [
        make("causal-forcing-framewise", index, tmp_path / f"{run}.mp4", 3).frames_sha256
        for run, index in enumerate((0, 1, 0))
    ]
    assert digests[0] == digests[2] != digests[1]


def test_causvid_at_20_s_begins_with_its_5_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], read_video: ReadVideo
) -> None:
    videos = []
    for seconds in (5, 20):
        out = tmp_path / str(seconds)
        record = run_json(
            capsys, "generate", "causvid", "--prompt", PROMPTS[0], "--out", out,
            "--weights", "tiny", "--size", "16x16", "--seconds", seconds,
        )  # fmt: skip
        videos.append(out / record["videos"][0])
    short, long = map(read_video, videos)
    assert (len(short), len(long)) == (81, 321)
    # 72 frames are the first window's; the coder saw other frames after them.
    assert np.abs(long[:72].astype(int) - short[:72]).max() <= 8
    sidecar = json.loads(videos[1].with_suffix(".json").read_text())
    assert (sidecar["made_frames"], sidecar["arguments"]) == (360, {"windows": 5})


@pytest.fixture(scope="module")
def pipeline() -> HiARPipeline:
    return HiARPipeline.from_pretrained("tiny", size_px=SIZE)


def test_windows_join_as_written_out_by_hand(pipeline: HiARPipeline) -> None:
    """Three windows of 6 latent frames that share 3, with nothing but hiar's own functions."""
    config = SamplerConfig(order="block_first", context="clean", window=6, steps=(1000, 500))
    found = list(
        overlapping_windows(
            pipeline, PROMPTS[0], config, num_windows=3, overlap=3, seed=5, prompt_index=2
        )
    )
    text = pipeline.text_encoder.encode([PROMPTS[0]])
    shape = (3, *pipeline.latent_shape)

    def draw(block: int, step: int) -> torch.Tensor:
        return keyed_noise(shape, seed=5, prompt_index=2, block=block, step=step)[None]

    carried, blocks = None, [(0, 1), (2,), (3,)]
    for video, numbers in zip(found, blocks, strict=True):
        latents = sample_latents(
            pipeline.transformer, text, torch.cat([draw(n, 0) for n in numbers], dim=1), config,
            renoise=lambda step, block, numbers=numbers: draw(numbers[block], step + 1),
            initial_latents=carried,
        )  # fmt: skip
        whole = pipeline.autoencoder.decode(latents)
        assert latents.shape[1] == 6
        assert whole.shape[2] == 21  # of which the last 9 are the next window's first
        torch.testing.assert_close(video, whole[:, :, :12], rtol=0, atol=0)
        again = pipeline.autoencoder.encode(whole[:, :, 12:13])
        carried = torch.cat([again, latents[:, 4:]], dim=1)


def test_a_window_begins_where_the_last_one_was_cut(pipeline: HiARPipeline) -> None:
    """The carried frame shows what was left off: re-encoding costs less than other content."""
    config = replace(find_release_sampler("causvid"), window=6)
    arguments: dict[str, Any] = {"num_windows": 2, "overlap": 3, "seed": 0, "prompt_index": 0}
    first, second = overlapping_windows(pipeline, PROMPTS[0], config, **arguments)
    gap = (second[:, :, 0] - first[:, :, -1]).abs().mean()
    elsewhere, _ = overlapping_windows(pipeline, PROMPTS[1], config, **arguments)
    assert gap < 0.5 * (elsewhere[:, :, -1] - first[:, :, -1]).abs().mean()


def find_release_sampler(key: str) -> SamplerConfig:
    from hiar.weights.releases import find_release

    return find_release(key).sampler


@pytest.mark.parametrize(
    ("key", "seconds", "num_frames"),
    [("hiar", 5, 81), ("causal-forcing-framewise", 5, 81), ("causvid", 20, 321)],
)
def test_timing_says_what_it_counted(
    key: str, seconds: int, num_frames: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "time.json"
    record = run_json(
        capsys, "time", key, "--weights", "tiny", "--size", "16x16", "--repeats", "1",
        "--warmup", "0", "--seconds", seconds, "--out", out,
    )  # fmt: skip
    assert record == json.loads(out.read_text())
    assert record["schema"] == "baselines-time/1"
    check_record(record)
    [row] = record["rows"]
    frames = 4 if key == "causal-forcing-framewise" else 12
    assert row["chunk_frames"] == frames
    assert row["throughput_fps"] == pytest.approx(frames / row["chunk_s"])
    assert row["latency_s"] == row["chunk_s"] > 0
    assert row["chunk_s_range"][0] <= row["chunk_s"] <= row["chunk_s_range"][1]
    whole = set() if key == "causvid" else {"video_s"}
    assert row["parts"].keys() == {"first_chunk_s", "decode_chunk_s"} | whole
    assert row["passes_per_chunk"] == (8 if key == "hiar" else 5)
    assert (row["num_gpus"], row["num_frames"], row["seconds"]) == (0, num_frames, seconds)
    assert "context passes" in row["counted"]
    assert ("one window" in row["counted"]) == (key == "causvid")
    # 81 frames are 21 latent frames: only the last block sees a full window.
    assert "none sees a full window" in row["counted"]
    assert record["provenance"]["model"]["weights"]["name"] == "tiny"


def test_latents_that_are_not_finite_fail_that_video_alone(tmp_path: Path) -> None:
    engine = open_adapter(find_model("self-forcing"), Options(weights="tiny", size_px=SIZE))
    assert isinstance(engine, HiarEngine)
    with torch.no_grad():
        engine.pipeline.transformer.head.head.bias.fill_(float("nan"))  # type: ignore[operator]
    job = Job(
        prompt="a", prompt_index=0, seed=0,
        length=Length(num_frames=9, arguments={"latent_frames": 3}),
    )  # fmt: skip
    from baselines.errors import VideoFailedError

    with pytest.raises(VideoFailedError, match="not finite"):
        engine.make(job, tmp_path / "video.mp4")
    assert list(tmp_path.iterdir()) == []
