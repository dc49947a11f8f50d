"""A metric against distance in time: closed forms, and from the network to the report."""

import json

import numpy as np
import pytest

from drift import ScoreConfig, rebuild, score_folder
from drift.metrics.dino_coherence import mean_by_distance
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.preset import preset_v1
from drift.record.summary import build_summary, score_videos
from drift.record.tables import read_frames
from drift.score.by_distance import NUM_DISTANCES, by_distance

pytestmark = pytest.mark.numerics


def test_every_pair_counts_once() -> None:
    vectors = np.random.default_rng(0).normal(size=(23, 7))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    products = vectors @ vectors.T
    expected = [np.mean(np.diagonal(products, k)) for k in range(1, 23)]
    assert mean_by_distance(vectors) == pytest.approx(expected, abs=1e-12)


def test_a_direction_that_turns_evenly_has_the_cosine_of_its_angle() -> None:
    angles = 0.01 * np.arange(100)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    expected = np.cos(0.01 * np.arange(1, 100))
    assert mean_by_distance(vectors) == pytest.approx(expected, abs=1e-12)


def test_distances_are_in_seconds_whatever_the_rate() -> None:
    # Two videos of 10 s that turn alike, one with twice the frames a second.
    slow = np.cos(0.02 * np.arange(1, 161))
    fast = np.cos(0.01 * np.arange(1, 321))
    found = by_distance([(slow, 16.0), (fast, 32.0)], ["a", "b"])
    assert (found["seconds"][0], found["seconds"][-1]) == pytest.approx((0.125, 10.0))
    assert len(found["mean"]) == NUM_DISTANCES
    expected = np.cos(0.32 * np.array(found["seconds"]))
    assert found["mean"] == pytest.approx(expected, abs=0.02)  # whole frames: half of 0.02 rad
    low, high = np.array(found["ci95"]).T
    assert np.all(low <= found["mean"])
    assert np.all(found["mean"] <= high)


def test_a_run_keeps_its_curves(tmp_path, make_video, pan) -> None:
    for name in ("coffee", "chelsea"):
        make_video(tmp_path / "v" / f"{name}.mp4", pan(name, 12, 48, 64))
    config = ScoreConfig(metrics=("dino_coherence",), variants=(("dino_coherence", "vit-s"),))
    run = score_folder(
        tmp_path / "v", out=tmp_path / "run", config=config, progress=None,
        settings=MetricSettings(random_weights=True),
    )  # fmt: skip
    for row in read_frames(run.out / "frames.parquet").rows:
        curve = row.curves["dino_coherence"]
        assert len(curve) == 11
        assert curve[0] == pytest.approx(np.mean(row.values["dino_coherence"]), abs=1e-6)
    found = run.summary["metrics"]["dino_coherence"]["by_distance"]
    assert found["seconds"][-1] == pytest.approx(11 / 16)
    assert 'id="distance-dino_coherence"' in (run.out / "report.html").read_text()
    assert rebuild(run.out).summary == json.loads((run.out / "summary.json").read_text())


def test_no_rate_no_curve(make_run) -> None:
    run = make_run({"a.mp4": {"saturation": [0.5] * 20}})
    summary = build_summary(run, score_videos(run, preset_v1()), preset_v1())
    assert summary["metrics"]["saturation"]["by_distance"] is None
