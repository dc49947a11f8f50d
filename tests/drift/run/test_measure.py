"""Learned metrics in whole runs: settings, every k-th frame, keys, batches, marks, torchrun."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import drift
from drift import ScoreConfig, UsageError, score_folder
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.preset import preset_v1
from drift.metrics.registry import GROUPS
from drift.run.measure import Task, measure
from drift.run.plan import make_plan
from drift.run.ranks import Ranks, ranks_of_torchrun
from drift.video.batch import FrameBatch

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[3]
RANDOM = MetricSettings(random_weights=True)
RESULTS = ("frames.parquet", "videos.csv", "summary.json", "report.html")


@pytest.fixture(scope="module")
def small(tmp_path_factory, make_video, pan):
    """Two short clips of 48 x 64, lossless so that an equal frame stays equal."""
    folder = tmp_path_factory.mktemp("small")
    for name in ("coffee", "chelsea"):
        make_video(folder / f"{name}.mp4", pan(name, 11, 48, 64), "libx264rgb", "rgb24")
    return folder


def frames_batch(count: int = 7, first: int = 0) -> FrameBatch:
    rng = np.random.default_rng(0)
    return FrameBatch(
        [rng.integers(0, 255, (4, 6, 3)).astype(np.uint8) for _ in range(count)], first
    )


def test_a_batch_is_its_frames_and_one_tensor():
    batch = frames_batch()
    assert [frame.shape for frame in batch] == [(4, 6, 3)] * 7
    pixels = batch.pixels("cpu")
    assert pixels.shape == (7, 3, 4, 6)
    assert batch.pixels("cpu") is pixels
    np.testing.assert_allclose(pixels[2].permute(1, 2, 0).numpy() * 255, batch[2], rtol=1e-6)


def test_every_counts_from_the_start_of_the_video():
    # Frames 5..11: those of them that are multiples of 3 are 6 and 9.
    batch = frames_batch(7, first=5)
    chosen = batch.every(3)
    assert len(chosen) == 2
    assert np.array_equal(chosen[0], batch[1])
    assert np.array_equal(chosen[1], batch[4])
    assert np.array_equal(chosen.pixels("cpu").numpy(), batch.pixels("cpu")[[1, 4]].numpy())
    assert not frames_batch(2, first=1).every(4)
    assert batch.every(1) is batch


def test_large_frames_go_in_small_batches():
    settings = MetricSettings()
    assert settings.frames_per_batch(480, 832) == 8
    assert settings.frames_per_batch(64, 64) == 8
    assert settings.frames_per_batch(1080, 1920) == 2
    assert MetricSettings(device="cuda").frames_per_batch(1080, 1920) == 6
    assert MetricSettings(device="cuda").frames_per_batch(4320, 7680) == 1
    assert replace(settings, batch=3).frames_per_batch(1080, 1920) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"dtype": "float16"}, "dtype is 'float16'"),
        ({"batch": 0}, "batch is 0"),
    ],
)
def test_wrong_settings_are_named(arguments, words):
    with pytest.raises(UsageError, match=words):
        MetricSettings(**arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"every": 0}, "every is 0"),
        ({"every": 1.5}, "whole number"),
        ({"variants": (("musiq", "ava"),)}, "no variant 'ava'; choose from: koniq, spaq"),
        ({"variants": (("lpips", "alex"),), "metrics": ("musiq",)}, "which is not measured"),
    ],
)
def test_wrong_config_is_named(arguments, words):
    with pytest.raises(UsageError, match=words):
        ScoreConfig(**{"metrics": ("all",), **arguments})


def test_all_means_every_metric_of_the_preset_and_defaults_need_not_be_named():
    assert GROUPS["all"] == preset_v1().metrics == ScoreConfig(metrics=("all",)).metrics
    named = ScoreConfig(metrics=("all",), variants={"musiq": "koniq", "dino_coherence": "vit-s"})
    assert named.variants == (("dino_coherence", "vit-s"),)


def test_missing_weights_stop_before_any_decoding(small, tmp_path, monkeypatch):
    monkeypatch.setattr("drift.run.measure.open_video", None)
    with pytest.raises(UsageError, match=r"musiq_koniq_ckpt-e95806b9\.pth is missing"):
        score_folder(
            small,
            out=tmp_path / "run",
            config=ScoreConfig(metrics=("all",)),
            settings=MetricSettings(weights_dir=tmp_path / "none"),
            progress=None,
        )
    assert not (tmp_path / "run").exists()


def test_keys_hold_what_values_depend_on():
    def key(config: ScoreConfig, settings: MetricSettings = RANDOM) -> str:
        return make_plan(config, settings).keys["musiq"]

    plain = key(ScoreConfig(metrics=("musiq",)))
    assert "weights/random" in plain
    assert "precision/float32" in plain
    assert key(ScoreConfig(metrics=("musiq",), every=2)) != plain
    assert key(ScoreConfig(metrics=("musiq",), variants=(("musiq", "spaq"),))) != plain
    assert key(ScoreConfig(metrics=("musiq",), segments=3)) == plain
    assert key(ScoreConfig(metrics=("musiq",)), replace(RANDOM, batch=2)) == plain


@pytest.fixture(scope="module")
def run(small, tmp_path_factory):
    """All but CLIP-IQA and ViT-B, which are large; every second frame for the quality metric."""
    config = ScoreConfig(
        metrics=("musiq", "dino_coherence", "lpips", "fast"),
        every=2,
        variants=(("dino_coherence", "vit-s"),),
    )
    out = tmp_path_factory.mktemp("run")
    return score_folder(small, out=out, config=config, settings=RANDOM, progress=None)


@pytest.mark.slow
def test_frames_of_each_metric_and_segments_from_them(run):
    frames = pd.read_parquet(run.out / "frames.parquet")
    index = {
        metric: part.frame.tolist()
        for metric, part in frames[frames.video == "coffee.mp4"].groupby("metric")
    }
    assert index["musiq"] == [0, 2, 4, 6, 8, 10]
    assert index["lpips"] == index["dino_coherence"] == list(range(10))
    assert index["sharpness"] == list(range(11))
    # Segments of 11 frames begin at 0, 2, 4, 6, 8; the last one holds frames 8 and 10.
    musiq = frames[(frames.video == "coffee.mp4") & (frames.metric == "musiq")].value.to_numpy()
    (scored,) = (video for video in run.videos if video.path == "coffee.mp4")
    expected = [*musiq[:4], musiq[4:].mean()]
    assert scored.metrics["musiq"].segment_means == pytest.approx(expected)


@pytest.mark.slow
def test_random_weights_mark_every_output(run, capsys):
    summary = json.loads((run.out / "summary.json").read_text())
    assert summary["invalid"].startswith("INVALID: random weights")
    assert summary["provenance"]["weights"]["musiq-koniq"] == "random"
    assert summary["provenance"]["config"]["variants"]["dino_coherence"] == "vit-s"
    assert "INVALID" in (run.out / "report.html").read_text()
    assert set(pd.read_csv(run.out / "videos.csv").invalid) == {"random weights"}
    assert drift.rebuild(run.out).summary == summary
    from drift.cli.main import main

    main(["report", str(run.out)])
    assert "INVALID" in capsys.readouterr().out


@pytest.mark.slow
def test_fast_metrics_alone_are_never_invalid(small, tmp_path):
    result = score_folder(small, out=tmp_path, settings=RANDOM, progress=None)
    assert "invalid" not in result.summary


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "threads"), [(1, 2), (4, 3)])
def test_neither_batch_nor_threads_change_a_bit(small, run, batch, threads):
    config = ScoreConfig(
        metrics=("musiq", "dino_coherence", "lpips"),
        every=2,
        variants=(("dino_coherence", "vit-s"),),
    )
    plan = make_plan(config, replace(RANDOM, batch=batch))
    task = Task(path="x", file=small / "coffee.mp4", run=small / "none", plan=plan)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        values = measure(task).record.values
    finally:
        torch.set_num_threads(before)
    frames = pd.read_parquet(run.out / "frames.parquet")
    for metric in config.metrics:
        chosen = frames[(frames.video == "coffee.mp4") & (frames.metric == metric)].value
        assert values[metric] == chosen.tolist()


def test_too_few_frames_for_every(small, tmp_path, monkeypatch):
    new_metric = "drift.metrics.registry.MetricSpec.new_metric"
    monkeypatch.setattr(new_metric, lambda *_: lambda f: [1.0] * len(f))
    config = ScoreConfig(metrics=("musiq",), every=3)
    result = score_folder(small, out=tmp_path, config=config, settings=RANDOM, progress=None)
    assert {row["status"] for row in result.failed} == {"too_short"}
    assert "5 segments at every 3 frames need 15" in result.failed[0]["reason"]


def test_too_small_frames_are_named(tmp_path, make_video, pan):
    (tmp_path / "v").mkdir()
    make_video(tmp_path / "v" / "x.mp4", pan("coffee", 11, 16, 16))
    config = ScoreConfig(metrics=("lpips", "fast"))
    result = score_folder(
        tmp_path / "v", out=tmp_path / "run", config=config, settings=RANDOM, progress=None
    )
    assert result.failed == [
        {"path": "x.mp4", "status": "too_small", "reason": "16x16 pixels; lpips needs 32x32"}
    ]


def test_ranks_cover_every_video_once(monkeypatch):
    items = list(range(11))
    for num_ranks in (1, 2, 3, 16):
        shares = [Ranks(rank=rank, num_ranks=num_ranks).share(items) for rank in range(num_ranks)]
        assert sorted(item for share in shares for item in share) == items
    assert Ranks(rank=1, num_ranks=2, local_rank=1).device("cuda") == "cuda:1"
    assert Ranks(rank=1, num_ranks=2, local_rank=1).device("cpu") == "cpu"
    assert ranks_of_torchrun() == Ranks()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="start with torchrun"):
        ranks_of_torchrun()


def test_wrong_use_is_said_once_by_all_processes(clips, tmp_path):
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [sys.executable, *torchrun, "-m", "drift", "score", str(clips), "--segments", "1"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=120,
    )
    assert done.returncode != 0
    assert done.stderr.count("drift: segments is 1") == 1
    assert "exitcode  : 2" in done.stderr


LEARNED = ("--random-weights", "--metrics", "lpips")  # the quickest to load


@pytest.mark.slow
@pytest.mark.parametrize("metrics", [(), LEARNED], ids=["fast", "learned"])
def test_processes_and_workers_change_no_byte(clips, small, tmp_path, metrics):
    videos = small if metrics else clips
    # Without git: a commit made between the runs must not show up as a difference.
    no_git = {"GIT_DIR": str(tmp_path / "none"), "PYTHONPATH": str(ROOT)}
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    ways = {"one": ([], "1", "1"), "torchrun": (torchrun, "1", "1")}
    ways |= {"workers": ([], "2", "1")} if metrics else {}
    runs = {}
    for name, (launch, workers, threads) in ways.items():
        command = [sys.executable, *launch, "-m", "drift", "score", str(videos), *metrics]
        command += ["--workers", workers, "--out", str(tmp_path / name)]
        environment = {**os.environ, **no_git, "OMP_NUM_THREADS": threads}
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False, timeout=240
        )
        assert done.returncode == 0, done.stderr
        runs[name] = {file: (tmp_path / name / file).read_bytes() for file in RESULTS}
        assert done.stdout.count("drift score") == 1
    assert all(run == runs["one"] for run in runs.values())
