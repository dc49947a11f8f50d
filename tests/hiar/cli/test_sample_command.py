"""`hiar sample` with the real classes at random tiny weights, and once as a real process."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan
from killed import kill_while_it_writes
from record_schema import check_record
from safetensors.torch import load_file
from transformers import UMT5Config, UMT5EncoderModel

from hiar.codecs.prompts import read_prompts
from hiar.codecs.text import TextEncoder
from hiar.codecs.vae import VideoAutoencoder
from hiar.codecs.video import ENCODING
from hiar.errors import UsageError
from hiar.loading import TINY_WEIGHTS
from hiar.model.config import WanConfig
from hiar.model.fp8 import use_fp8_feed_forward
from hiar.model.geometry import num_frames
from hiar.model.transformer import CausalWan
from hiar.pipeline import HiARPipeline
from hiar.runtime.progress import Progress
from hiar.sample_folder import SampleRun, model_facts, sample_folder
from hiar.sampling.config import SamplerConfig
from hiar.tiny.preset import ASSETS, TEXT_CONFIG, VAE_CONFIG, byte_tokenizer

pytestmark = pytest.mark.numerics

Command = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[3]
PROMPTS = [
    'a "red" disc\'s tail',
    "a/b\\c",
    "🐈 on a 🛹",
    "x" * 2000,
    "one beginning of two prompts, which part at the very end: a disc",
    "one beginning of two prompts, which part at the very end: a ring",
]
RUN = SampleRun(config=SamplerConfig(steps=(1000, 500)), latent_frames=3, seed=1, batch_size=4)


@pytest.fixture(scope="module")
def pipeline(make_model: Callable[..., CausalWan]) -> HiARPipeline:
    torch.manual_seed(0)
    text_len = 24
    return HiARPipeline(
        transformer=make_model(
            text_dim=TEXT_CONFIG["d_model"], text_len=text_len, in_channels=16, out_channels=16
        ),
        text_encoder=TextEncoder(
            UMT5EncoderModel(UMT5Config(**TEXT_CONFIG)), byte_tokenizer(), text_len
        ),
        autoencoder=VideoAutoencoder(AutoencoderKLWan(**VAE_CONFIG)),
        name="random",
        size_px=(32, 48),
        fps=16,
        weights={"transformer": "random"},
    )


def sample(
    pipeline: HiARPipeline, out: Path, run: SampleRun = RUN, prompts: list[str] | None = None
) -> dict[str, Any]:
    return sample_folder(pipeline, prompts or PROMPTS, out, run, Progress("test", None))


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of writing of each video and sidecar."""
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.iterdir())
        if path.name != "run.json"
    }


def identities(folder: Path) -> dict[str, tuple[str, str]]:
    """Hashes of the frames and of the latents of each video, by its name."""
    sidecars = (json.loads(path.with_suffix(".json").read_text()) for path in folder.glob("*.mp4"))
    return {car["video"]: (car["frames_sha256"], car["latents_sha256"]) for car in sidecars}


def read_frames(video: Path) -> np.ndarray[Any, Any]:
    with av.open(str(video)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def remade(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    assert before.keys() == after.keys()
    return {Path(name).stem for name in before if before[name] != after[name]}


def test_every_prompt_has_one_video_and_a_sidecar(pipeline: HiARPipeline, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join([*PROMPTS[:3], "", *PROMPTS[3:]]) + "\n", encoding="utf-8")
    out = tmp_path / "out"
    record = sample(pipeline, out, prompts=read_prompts(file))
    assert (record["made"], record["already_there"]) == (6, 0)
    assert len(list(out.glob("*.mp4"))) == 6
    assert sorted(p.name for p in out.glob("*.json")) == sorted([*record["videos"], "run.json"])
    for prompt, name in zip(PROMPTS, record["videos"], strict=True):
        sidecar = json.loads((out / name).read_text(encoding="utf-8"))
        assert sidecar["prompt"] == prompt
        check_record(sidecar)
        assert (sidecar["seed"], sidecar["num_frames"]) == (1, num_frames(3))
        with av.open(str(out / sidecar["video"])) as container:
            stream = container.streams.video[0]
            assert sum(1 for _ in container.decode(stream)) == sidecar["num_frames"]
            assert stream.average_rate == sidecar["fps"] == 16
            assert (stream.height, stream.width) == (32, 48)
    assert json.loads((out / "run.json").read_text()) == json.loads(json.dumps(record))
    check_record(record)
    hashes = identities(out).values()
    assert len({frames for frames, _ in hashes}) == len({latents for _, latents in hashes}) == 6


def test_a_second_run_makes_nothing(pipeline: HiARPipeline, tmp_path: Path) -> None:
    sample(pipeline, tmp_path)
    before = contents(tmp_path)
    record = sample(pipeline, tmp_path, replace(RUN, batch_size=1))
    assert (record["made"], record["already_there"]) == (0, 6)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"latent_frames": 6},
        {"config": SamplerConfig(steps=(1000, 500), order="block_first", context="clean")},
    ],
)
def test_other_settings_remake_all(
    pipeline: HiARPipeline, tmp_path: Path, change: dict[str, Any]
) -> None:
    prompts = PROMPTS[:2]
    sample(pipeline, tmp_path, prompts=prompts)
    before = contents(tmp_path)
    record = sample(pipeline, tmp_path, replace(RUN, **change), prompts=prompts)
    assert record["made"] == 2
    assert len(remade(before, contents(tmp_path))) == 2


def test_only_what_is_missing_is_made(pipeline: HiARPipeline, tmp_path: Path) -> None:
    one_by_one = replace(RUN, batch_size=1)  # a batch of another size rounds its own way
    names = [Path(name).stem for name in sample(pipeline, tmp_path, one_by_one)["videos"]]
    before, same = contents(tmp_path), identities(tmp_path)
    pictures = read_frames(tmp_path / f"{names[1]}.mp4")
    (tmp_path / f"{names[1]}.mp4").unlink()
    sidecar = tmp_path / f"{names[4]}.json"
    sidecar.write_bytes(sidecar.read_bytes()[:200])
    record = sample(pipeline, tmp_path, one_by_one)
    after = contents(tmp_path)
    assert (record["made"], record["already_there"]) == (2, 4)
    assert remade(before, after) == {names[1], names[4]}
    assert identities(tmp_path) == same  # the same keys give the same videos
    np.testing.assert_array_equal(read_frames(tmp_path / f"{names[1]}.mp4"), pictures)


class Interrupting(Progress):
    """Progress that presses Ctrl-C after some cells."""

    def __init__(self, after: int) -> None:
        super().__init__("test", None)
        self.left = after

    def advance(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on(pipeline: HiARPipeline, tmp_path: Path) -> None:
    run = replace(RUN, batch_size=2)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    sample(pipeline, whole, run)
    with pytest.raises(KeyboardInterrupt):  # 2 cells a batch: in the middle of the third
        sample_folder(pipeline, PROMPTS, cut, run, Interrupting(after=5))
    assert len(list(cut.glob("*.mp4"))) == len(list(cut.glob("*.json"))) == 4
    assert not list(cut.glob(".*"))
    record = sample(pipeline, cut, run)
    assert (record["made"], record["already_there"]) == (2, 4)
    assert identities(cut) == identities(whole)


def test_latents_do_not_depend_on_the_batch(
    pipeline: HiARPipeline, relative_l2: Callable[[torch.Tensor, torch.Tensor], float]
) -> None:
    def latents(prompts: list[int]) -> torch.Tensor:
        return pipeline.sample(
            [PROMPTS[i] for i in prompts], RUN.config, latent_frames=6, prompt_indices=prompts
        )

    three = latents([2, 0, 4])
    for row, prompt in enumerate((2, 0, 4)):
        assert relative_l2(three[row : row + 1], latents([prompt])) <= 1e-5
    assert relative_l2(three[0], three[1]) > 1e-2


def test_samples_of_a_prompt_differ_and_the_seed_counts_on(
    pipeline: HiARPipeline, tmp_path: Path
) -> None:
    prompts = PROMPTS[:1]
    record = sample(pipeline, tmp_path / "two", replace(RUN, samples=2), prompts)
    found = [json.loads((tmp_path / "two" / name).read_text()) for name in record["videos"]]
    assert [(f["sample_index"], f["seed"]) for f in found] == [(0, 1), (1, 2)]
    hashes = [f["frames_sha256"] for f in found]
    assert hashes[0] != hashes[1]
    # Sample 1 of seed 1 is the video of seed 2.
    other = sample(pipeline, tmp_path / "one", replace(RUN, seed=2), prompts)
    alone = json.loads((tmp_path / "one" / other["videos"][0]).read_text())
    assert alone["frames_sha256"] == hashes[1]


def test_two_ranges_make_the_videos_of_a_whole_run(pipeline: HiARPipeline, tmp_path: Path) -> None:
    alone = replace(RUN, batch_size=1)  # a batch of another size rounds otherwise
    sample(pipeline, tmp_path / "whole", alone)
    for place in ((0, 2), (2, 6)):
        sample(pipeline, tmp_path / "parts", replace(alone, prompt_range=place))
    assert len(identities(tmp_path / "whole")) == 6
    assert identities(tmp_path / "parts") == identities(tmp_path / "whole")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"samples": 0}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"latent_frames": 4}, "4 latent frames are not a whole number"),
    ],
)
def test_wrong_runs_are_named(change: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        replace(RUN, **change)


def test_an_inexact_kernel_makes_another_video() -> None:
    """A video of an exact kernel is not taken for that of `sage`; exact ones differ in rounding."""
    facts = [replace(RUN, attention=name).facts() for name in ("sdpa", "cudnn", "auto", "sage")]
    assert facts[0] == facts[1] == facts[2] != facts[3]


def test_8_bit_products_make_another_model(pipeline: HiARPipeline) -> None:
    plain = model_facts(pipeline)["dtype"]
    model = WanConfig(dim=32, ffn_dim=64, num_heads=2, num_layers=1, text_dim=8, text_len=4)
    eight = copy(pipeline)
    eight.transformer = CausalWan(model).bfloat16()
    use_fp8_feed_forward(eight.transformer)
    assert (plain, model_facts(eight)["dtype"]) == ("float32", "bfloat16, ffn e4m3")


def test_a_call_cuts_to_the_frames_asked_for(pipeline: HiARPipeline) -> None:
    asked: dict[str, Any] = {"num_frames": 7, "seed": 3, "config": RUN.config}
    found = pipeline(PROMPTS[:2], **asked, output_type="uint8").frames
    assert [video.shape for video in found] == [(7, 32, 48, 3)] * 2
    alone = pipeline(PROMPTS[0], **asked, output_type="uint8").frames
    # Levels of 255: rounding to a whole level turns a float32 difference into 1 at most.
    assert abs(alone[0].astype(int) - found[0]).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "x"], "--prompts"),
        (["--out", "x", "--prompts", "no-such-file.txt"], "no prompt file no-such-file.txt"),
        (["--out", "x", "--prompt", "a", "--order", "row_first"], "invalid choice"),
        (["--out", "x", "--prompt", "a", "--order", "block_first", "--context", "input"], "clean"),
        (["--out", "x", "--prompt", "a", "--window", "2"], "window 2"),
        (["--out", "x", "--prompt", "a", "--decoder-ranks", "1"], "needs --order pipelined"),
        (
            ["--out", "x", "--prompt", "a", "--order", "pipelined", "--decoder-ranks", "1"],
            "--decoder-ranks 1 of 1: at least one rank denoises",
        ),
        (["--out", "x", "--prompt", "a", "--cache", "sinks"], "invalid choice"),
        (["--out", "x", "--prompt", "a", "--cache", "aligned-sink"], "needs a sink"),
        (["--out", "x", "--prompt", "a", "--cache", "all", "--window", "9"], "'all' has no window"),
        (["--out", "x", "--prompt", "a", "--model", "wan"], "model 'wan' is unknown"),
        (["--out", "x", "--prompt", "a", "--fp8", "ffn"], "the model is float32"),
        (["--out", "x", "--prompt", "a", "--cuda-graphs"], "--cuda-graphs needs a model"),
    ],
)
def test_wrong_use_is_one_line(
    hiar_main: Callable[..., tuple[int, str, str]], arguments: list[str], words: str
) -> None:
    code, out, err = hiar_main("sample", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


shipped = pytest.mark.skipif(
    not all((ASSETS.joinpath(*place)).exists() for place in TINY_WEIGHTS.values()),
    reason="the tiny weights are not there: scripts/train_tiny.py makes them",
)


@shipped
@pytest.mark.slow
def test_the_command_makes_videos_and_then_none(hiar_command: Command, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(PROMPTS[:3]), encoding="utf-8")
    argv = (
        "sample", "--prompts", file, "--out", tmp_path / "out", "--latent-frames", 3, "--json",
    )  # fmt: skip
    for made in (3, 0):
        done = hiar_command(*argv)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["made"] == made
    assert len(list((tmp_path / "out").glob("*.mp4"))) == 3


@shipped
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_leaves_whole_files(tmp_path: Path, number: signal.Signals) -> None:
    file, out = tmp_path / "prompts.txt", tmp_path / "out"
    file.write_text("\n".join(f"a red disc, number {i}" for i in range(40)))
    argv = [
        sys.executable, "-m", "hiar", "sample", "--prompts", str(file), "--out", str(out),
        "--latent-frames", "3", "--batch-size", "1",
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        argv, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while not list(out.glob("*.mp4")) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "hiar: interrupted; run the same command again to go on"
    assert 1 <= len(list(out.glob("*.mp4"))) < 40
    assert not list(out.glob(".*"))


@pytest.mark.parametrize("damage", ["cut inside an emoji", "[]", "null", "3", ""])
def test_a_damaged_sidecar_is_made_again(
    pipeline: HiARPipeline, tmp_path: Path, damage: str
) -> None:
    prompts = ["🐈 cat"]
    sidecar = tmp_path / sample(pipeline, tmp_path, prompts=prompts)["videos"][0]
    whole = sidecar.read_bytes()
    cut = whole[: whole.index("🐈".encode()) + 2]
    sidecar.write_bytes(cut if damage.startswith("cut") else damage.encode())
    assert sample(pipeline, tmp_path, prompts=prompts)["made"] == 1
    assert sample(pipeline, tmp_path, prompts=prompts)["made"] == 0


def test_an_empty_video_is_made_again(pipeline: HiARPipeline, tmp_path: Path) -> None:
    sample(pipeline, tmp_path, prompts=["cat"])
    next(tmp_path.glob("*.mp4")).write_bytes(b"")
    assert sample(pipeline, tmp_path, prompts=["cat"])["made"] == 1


def test_a_sidecar_never_vouches_for_other_pictures(
    pipeline: HiARPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed 1, then seed 2 stopped between the mp4 and its sidecar, then seed 1 again."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    sample(pipeline, tmp_path, prompts=["cat"])
    video = next(tmp_path.glob("*.mp4"))
    first, same = read_frames(video), identities(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("hiar.sample_folder.atomic_write_text", stop)
        with pytest.raises(KeyboardInterrupt):
            sample(pipeline, tmp_path, replace(RUN, seed=2), ["cat"])
    assert not np.array_equal(read_frames(video), first)
    assert sample(pipeline, tmp_path, prompts=["cat"])["made"] == 1
    assert identities(tmp_path) == same
    np.testing.assert_array_equal(read_frames(video), first)


def test_the_sidecar_names_the_frames_and_the_latents(
    pipeline: HiARPipeline, tmp_path: Path
) -> None:
    """Both hashes are those of plain bytes, which a reader can take again."""
    sample(pipeline, tmp_path, replace(RUN, batch_size=1, save_latents=True), ["cat"])
    (path,) = tmp_path.glob("0*.json")
    found = json.loads(path.read_text())
    latents = load_file(path.with_suffix(".safetensors"))["latents"]
    assert found["latents_sha256"] == hashlib.sha256(latents.numpy().tobytes()).hexdigest()
    frames = pipeline(
        "cat", num_frames=num_frames(3), seed=1, config=RUN.config, output_type="uint8"
    ).frames
    assert found["frames_sha256"] == hashlib.sha256(frames[0].tobytes()).hexdigest()
    assert found["encoding"] == ENCODING


def test_the_sidecar_names_the_cache_policy(pipeline: HiARPipeline, tmp_path: Path) -> None:
    for sizes, name in (({}, "all"), ({"window": 9}, "window"), ({"window": 9, "sink": 3}, "sink")):
        run = replace(RUN, config=replace(RUN.config, **sizes))
        assert run.facts()["config"]["cache"] == name
        given = replace(run, config=replace(run.config, cache=name))
        assert given.facts() == run.facts()
    moving = replace(RUN.config, window=9, sink=3, cache="aligned-sink")
    sample(pipeline, tmp_path, replace(RUN, config=moving), ["cat"])
    (path,) = tmp_path.glob("0*.json")
    assert json.loads(path.read_text())["config"]["cache"] == "aligned-sink"


def test_latents_of_another_seed_are_not_taken_for_those_of_this_one(
    pipeline: HiARPipeline, tmp_path: Path
) -> None:
    """Seed 1 with latents, seed 2 without: the file of seed 1 must not stay beside seed 2."""
    kept = replace(RUN, save_latents=True)
    sample(pipeline, tmp_path, kept, ["cat"])
    sample(pipeline, tmp_path, replace(RUN, seed=2), ["cat"])
    assert not list(tmp_path.glob("*.safetensors"))
    assert sample(pipeline, tmp_path, replace(kept, seed=2), ["cat"])["made"] == 1
    next(tmp_path.glob("*.safetensors")).write_bytes(b"cut")
    assert sample(pipeline, tmp_path, replace(kept, seed=2), ["cat"])["made"] == 1
    assert sample(pipeline, tmp_path, replace(kept, seed=2), ["cat"])["made"] == 0


@pytest.mark.slow
def test_what_a_killed_run_was_writing_is_removed_by_the_next(
    hiar_command: Command, model_folder: Path, tmp_path: Path
) -> None:
    common = (
        "sample", "--model", str(model_folder), "--size", "16x32", "--prompt", "a disc",
        "--window", "6", "--order", "diagonal", "--out", str(tmp_path),
    )  # fmt: skip
    endless = [sys.executable, "-m", "hiar", *common, "--latent-frames", "3000"]
    kill_while_it_writes(endless, tmp_path)
    assert not list(tmp_path.glob("*.mp4"))
    done = hiar_command(*common, "--latent-frames", "3")
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.mp4"))) == 1
    assert not list(tmp_path.glob(".*"))
