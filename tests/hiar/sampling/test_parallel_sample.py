"""`hiar sample --order pipelined`: the videos of diagonal, and what a lost process leaves."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest
import torch
from diffusers import AutoencoderKLWan
from transformers import UMT5Config, UMT5EncoderModel

from hiar.codecs.text import TextEncoder
from hiar.codecs.vae import VideoAutoencoder
from hiar.errors import RankLostError, UsageError
from hiar.model.transformer import CausalWan
from hiar.pipeline import HiARPipeline
from hiar.runtime.progress import Progress
from hiar.runtime.ranks import Ranks
from hiar.sample_folder import PARTIAL, SampleRun, sample_folder, write_videos
from hiar.sampling.config import SamplerConfig
from hiar.sampling.pipelined.group import PipelineGroup
from hiar.tiny.preset import TEXT_CONFIG, VAE_CONFIG, byte_tokenizer

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[3]
DIAGONAL = SamplerConfig(steps=(1000, 500), order="diagonal", window=6)


@pytest.fixture(scope="module")
def pipeline(make_model: Callable[..., CausalWan]) -> HiARPipeline:
    torch.manual_seed(0)
    return HiARPipeline(
        transformer=make_model(
            text_dim=TEXT_CONFIG["d_model"], text_len=24, in_channels=16, out_channels=16
        ),
        text_encoder=TextEncoder(UMT5EncoderModel(UMT5Config(**TEXT_CONFIG)), byte_tokenizer(), 24),
        autoencoder=VideoAutoencoder(AutoencoderKLWan(**VAE_CONFIG)),
        name="random",
        size_px=(32, 48),
        fps=16,
        weights={"transformer": "random"},
    )


def hashes(folder: Path) -> list[tuple[str, str]]:
    """Of the latents and frames of every video."""
    sidecars = (json.loads(path.read_text()) for path in sorted(folder.glob("0*.json")))
    return [(sidecar["latents_sha256"], sidecar["frames_sha256"]) for sidecar in sidecars]


@pytest.fixture(autouse=True)
def keep_sigterm() -> Iterator[None]:
    """A run that lost a process is deaf to SIGTERM while it writes; the next test is not."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_one_rank_makes_the_videos_of_diagonal(pipeline: HiARPipeline, tmp_path: Path) -> None:
    run = SampleRun(config=DIAGONAL, latent_frames=9, batch_size=2)
    prompts, quiet = ["a red disc", "a blue ring"], Progress("test", None)
    sample_folder(pipeline, prompts, tmp_path / "alone", run, quiet)
    pipeline.group = PipelineGroup()
    try:
        record = sample_folder(pipeline, prompts, tmp_path / "chain", run, quiet)
        again = sample_folder(pipeline, prompts, tmp_path / "alone", run, quiet)
    finally:
        pipeline.group = None
    assert (record["made"], again["made"]) == (2, 0)  # one order's videos serve the other
    alone, chained = (hashes(tmp_path / name) for name in ("alone", "chain"))
    assert len(alone) == 2
    assert alone == chained


def test_what_was_decoded_is_kept_when_a_process_is_lost(
    pipeline: HiARPipeline,
    tmp_path: Path,
    draw: Callable[..., torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "group", PipelineGroup())

    def blocks() -> Iterator[torch.Tensor]:
        yield from draw(1, 6, 16, 4, 6).split(3, dim=1)
        raise RankLostError("rank 1 is gone")

    path = tmp_path / "0000-a.mp4"
    with pytest.raises(RankLostError, match="rank 1 is gone"):
        write_videos(pipeline, blocks(), [path])
    (kept,) = tmp_path.iterdir()
    assert kept.name == f"0000-a{PARTIAL}"
    with av.open(str(kept)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 9 + 12


def test_nothing_is_kept_of_nothing(
    pipeline: HiARPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "group", PipelineGroup())

    def blocks() -> Iterator[torch.Tensor]:
        raise RankLostError("rank 0 is gone")
        yield

    with pytest.raises(RankLostError):
        write_videos(pipeline, blocks(), [tmp_path / "0000-a.mp4"])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("num_ranks", "decoder_ranks"), [(2, 0), (2, 1), (4, 2), (4, 3)])
def test_processes_make_one_video_together(
    tmp_path: Path, num_ranks: int, decoder_ranks: int
) -> None:
    tiny = HiARPipeline.from_pretrained("tiny")
    run = SampleRun(config=tiny.sampler, latent_frames=6)  # step_first
    prompts = ["a red disc", "a blue ring"]
    alone, chained = tmp_path / "alone", tmp_path / "chained"
    sample_folder(tiny, prompts, alone, run, Progress("test", None))
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone",
            f"--nproc_per_node={num_ranks}", "-m", "hiar", "sample",
            *(word for prompt in prompts for word in ("--prompt", prompt)),
            "--order", "pipelined", "--decoder-ranks", str(decoder_ranks),
            "--latent-frames", "6", "--out", chained,
        ],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2 made" in done.stdout
    assert json.loads((chained / "run.json").read_text())["num_ranks"] == num_ranks
    assert len(hashes(alone)) == 2
    assert hashes(alone) == hashes(chained)


def test_who_denoises_and_who_decodes() -> None:
    groups = [
        PipelineGroup(ranks=Ranks(rank=rank, num_ranks=5), decoder_ranks=3) for rank in range(5)
    ]
    assert [group.decoder_stage for group in groups] == [None, None, 0, 1, 2]
    assert [len(group.own_steps(4)) for group in groups] == [2, 2, 0, 0, 0]
    assert [group.denoising.is_last for group in groups[:2]] == [False, True]


def test_only_the_vae_is_shared(pipeline: HiARPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "decoder", object())
    monkeypatch.setattr(pipeline, "group", None)
    group = PipelineGroup(ranks=Ranks(rank=0, num_ranks=2), decoder_ranks=1)
    with pytest.raises(UsageError, match="leave --decoder out"):
        pipeline.share_steps(group)
