"""Every number of summary.json against the per-frame values, by brute force."""

import itertools
import math

import numpy as np
import pytest

from drift.metrics.preset import preset_v1
from drift.record.summary import build_summary, score_videos
from drift.record.tables import write_videos
from drift.stats.slopes import slope

pytestmark = pytest.mark.numerics

NUM_VIDEOS, NUM_FRAMES = 23, 40


def series(seed: int) -> dict[str, list[float]]:
    """Ramps of random height under noise, in three metrics."""
    rng, ramp = np.random.default_rng(seed), np.arange(NUM_FRAMES) / NUM_FRAMES
    noise = rng.normal(size=(3, NUM_FRAMES))
    return {
        "musiq": (60 + 9 * rng.normal() * ramp + noise[0]).tolist(),
        "lpips": (0.1 + 0.05 * rng.random() * ramp + 0.005 * noise[1])[:-1].tolist(),
        "saturation": (0.4 + 0.1 * rng.normal() * ramp + 0.01 * noise[2]).tolist(),
    }


@pytest.fixture(scope="module")
def run(make_run):
    paths = [f"{i:02}.mp4" for i in range(NUM_VIDEOS)]
    return make_run(
        {path: series(i) for i, path in enumerate(paths)},
        prompts={path: f"prompt {i // 2}" for i, path in enumerate(paths)},
    )


@pytest.fixture(scope="module")
def scores(run):
    return score_videos(run, preset_v1())


@pytest.fixture(scope="module")
def summary(run, scores):
    return build_summary(run, scores, preset_v1())


def drifts(scores, name):
    return np.array([score.metrics[name].drift for score in scores])


def test_the_noise_floor_of_the_score_is_its_mean_over_shuffled_segments(scores, summary):
    floors = []
    for score in scores:
        floor = 0.0
        for name, part in score.metrics.items():
            scale = preset_v1().term(name).scale
            orders = itertools.permutations(part.segment_means)
            floor += np.mean([min(1.0, abs(4 * float(slope(o))) / scale) for o in orders]) / 3
        floors.append(floor)
        assert score.score_floor == pytest.approx(floor)
    entry = summary["drift_score"]
    assert entry["noise_floor"] == pytest.approx(np.mean(floors))
    assert entry["excess"] == pytest.approx(entry["value"] - np.mean(floors))
    low, high = entry["excess_ci95"]
    assert low < entry["excess"] < high


def test_pure_noise_has_no_excess(make_run):
    rng = np.random.default_rng(4)
    values = {f"{i:03}.mp4": {"saturation": 0.4 + 0.02 * rng.normal(size=40)} for i in range(150)}
    run = make_run(values)
    entry = build_summary(run, score_videos(run, preset_v1()), preset_v1())["drift_score"]
    assert entry["value"] > 0.01  # |slope| does not average out
    assert entry["excess_ci95"][0] < 0 < entry["excess_ci95"][1]


def test_leave_one_out_is_the_score_of_the_other_metrics(scores, summary):
    for name, entry in summary["leave_one_out"].items():
        others = [drifts(scores, other) for other in ("musiq", "lpips", "saturation")]
        rest = [
            d
            for other, d in zip(("musiq", "lpips", "saturation"), others, strict=True)
            if other != name
        ]
        assert entry["value"] == pytest.approx(np.mean(rest))
        assert entry["change"] == pytest.approx(np.mean(rest) - summary["drift_score"]["value"])
        assert entry["ci95"][0] < entry["value"] < entry["ci95"][1]


def test_one_metric_leaves_nothing_out_and_has_no_weights_to_vary(make_run):
    run = make_run({"a.mp4": {"saturation": [0.1] * 30}, "b.mp4": {"saturation": [0.2] * 30}})
    summary = build_summary(run, score_videos(run, preset_v1()), preset_v1())
    assert summary["leave_one_out"] == {"saturation": None}
    assert summary["weight_sensitivity"] is None
    assert summary["correlation"]["pearson"] == [[None]]
    assert summary["metrics"]["saturation"]["share"] is None
    assert summary["metrics"]["saturation"]["shape"]["kinds"] == {"flat": 2}


def test_shares_sum_to_1_and_weights_move_the_score_between_its_metrics(scores, summary):
    entries = summary["metrics"].values()
    assert sum(entry["share"] for entry in entries) == pytest.approx(1)
    low, high = summary["weight_sensitivity"]["interval95"]
    means = [entry["drift"] for entry in entries]
    assert min(means) < low < high < max(means)


def test_correlation_is_that_of_numpy_over_signed_slopes(scores, summary):
    names = summary["correlation"]["metrics"]
    slopes = [[score.metrics[name].slope for score in scores] for name in names]
    np.testing.assert_allclose(summary["correlation"]["pearson"], np.corrcoef(slopes), atol=1e-12)


def test_slopes_a_second_and_length(run, scores, summary, tmp_path):
    # 40 frames at 16 fps are 2.5 s, a segment is half a second.
    for entry in summary["metrics"].values():
        assert entry["mean_slope_per_s"] == pytest.approx(entry["mean_slope"] / 0.5)
        assert entry["mean_abs_slope_per_s"] == pytest.approx(entry["mean_abs_slope"] / 0.5)
    write_videos(tmp_path / "videos.csv", run, scores)
    header, first = (tmp_path / "videos.csv").read_text().splitlines()[:2]
    cells = dict(zip(header.split(","), first.split(","), strict=True))
    assert float(cells["duration_s"]) == 2.5
    assert float(cells["score_floor"]) == scores[0].score_floor
    assert cells["cuts"] == "0"


def test_an_unknown_frame_rate_leaves_slopes_a_second_open(make_run):
    run = make_run({"a.mp4": series(0)}, media={"fps": None})
    summary = build_summary(run, score_videos(run, preset_v1()), preset_v1())
    assert summary["metrics"]["musiq"]["mean_slope_per_s"] is None


def test_the_worst_tenth_is_rounded_up(scores, summary):
    ranked = sorted(scores, key=lambda score: -score.score)
    worst = summary["worst"]["videos"]
    assert [video["path"] for video in worst] == [score.path for score in ranked[:3]]
    assert summary["worst"]["mean_score"] == pytest.approx(np.mean([s.score for s in ranked[:3]]))


def test_intervals_of_drift_and_curvature_hold_their_means(summary):
    for entry in summary["metrics"].values():
        assert entry["drift_ci95"][0] <= entry["drift"] <= entry["drift_ci95"][1]
        low, high = entry["shape"]["curvature_ci95"]
        assert low <= entry["shape"]["curvature"] <= high
        assert sum(entry["shape"]["kinds"].values()) == NUM_VIDEOS


def test_two_segments_have_no_curvature(make_run):
    run = make_run({"a.mp4": series(0), "b.mp4": series(1)}, segments=2)
    entry = build_summary(run, score_videos(run, preset_v1()), preset_v1())["metrics"]["musiq"]
    assert (entry["shape"]["curvature"], entry["shape"]["curvature_ci95"]) == (None, None)


def test_every_number_is_finite(summary):
    def numbers(data):
        if isinstance(data, dict):
            data = list(data.values())
        if isinstance(data, list):
            return [n for item in data for n in numbers(item)]
        return [data] if isinstance(data, float) else []

    assert all(map(math.isfinite, numbers(summary)))
