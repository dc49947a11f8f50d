"""The first five seconds against the last five, by hand."""

import numpy as np
import pytest

from drift.metrics.preset import preset_v1
from drift.record.summary import build_summary, score_videos
from drift.stats.start_end import first_and_last

pytestmark = pytest.mark.numerics


def test_means_of_both_windows() -> None:
    # 30 frames at 2 frames a second: frames 0..9 and 20..29, whose means are 4.5 and 24.5.
    assert first_and_last(np.arange(30.0), 30, 2.0) == (4.5, 24.5)
    # A pair belongs to its left frame: pairs 20..28 are left of the last ten frames.
    assert first_and_last(np.arange(29.0), 30, 2.0) == (4.5, 24.0)


def test_skipped_frames_count_by_their_place() -> None:
    frames = range(0, 30, 4)  # 0, 4, 8 | 12, 16 | 20, 24, 28
    assert first_and_last([float(f) for f in frames], 30, 2.0, frames=frames) == (4.0, 24.0)


@pytest.mark.parametrize(("num_frames", "fps"), [(19, 2.0), (30, None), (0, 2.0)])
def test_windows_that_overlap_or_have_no_rate_are_none(num_frames, fps) -> None:
    assert first_and_last(np.arange(float(num_frames)), num_frames, fps) is None


def test_means_of_differences_and_difference_of_means(make_run) -> None:
    """One video falls by 2, one rises by 1: -0.5 of the means, 1.5 on average in size."""
    falling = np.repeat([62.0, 61.0, 60.0], 10)
    rising = np.repeat([50.0, 50.5, 51.0], 10)
    run = make_run({"a.mp4": {"musiq": falling}, "b.mp4": {"musiq": rising}}, media={"fps": 2.0})
    entry = build_summary(run, score_videos(run, preset_v1()), preset_v1())["metrics"]["musiq"]
    found = entry["first_last_5s"]
    assert (found["first"], found["last"]) == (56.0, 55.5)
    assert found["difference"] == found["abs_difference_of_means"] == 0.5
    assert found["mean_abs_difference"] == 1.5
    assert found["ci95"] == [-1.0, 2.0]


def test_one_video_too_short_leaves_the_numbers_out(make_run) -> None:
    values = {"a.mp4": {"musiq": [1.0] * 30}, "b.mp4": {"musiq": [1.0] * 15}}
    run = make_run(values, media={"fps": 2.0})
    short = {**run.rows[1].media, "frames": 15}
    object.__setattr__(run.rows[1], "media", short)
    entry = build_summary(run, score_videos(run, preset_v1()), preset_v1())["metrics"]["musiq"]
    assert entry["first_last_5s"] is None
