"""The page says in words what drifts, how and from when, whether borders jump, and what froze."""

import numpy as np
import pytest

from drift.metrics.preset import preset_v1
from drift.record.summary import build_summary, score_videos
from drift.report.verdict import verdict
from drift.report.videos import view_videos

NUM_FRAMES, FPS = 480, 16.0


def late_ramp(start_s: float, height: float) -> np.ndarray:
    """Nothing until a second, then a straight line to a height at the end."""
    time = np.arange(NUM_FRAMES) / FPS
    return height * np.clip((time - start_s) / (time[-1] - start_s), 0, None)


@pytest.fixture
def shown(make_run):
    def show(saturations, **fields):
        run = make_run({f"{i}.mp4": {"saturation": 0.4 + s} for i, s in enumerate(saturations)})
        scores = score_videos(run, preset_v1())
        summary = {**build_summary(run, scores, preset_v1()), **fields}
        return verdict(view_videos(run, scores, {}, {}, {}), summary)

    return show


def test_what_drifts_and_from_when(shown) -> None:
    (line,) = shown([late_ramp(10, 0.2), late_ramp(0, 0.001), -late_ramp(0, 0.15)])
    assert line.startswith("2 of 3 videos")
    assert "saturating (1)" in line
    assert "fading (1)" in line
    assert "from second" in line


def test_stable_videos_are_said_to_be(shown) -> None:
    (line,) = shown([late_ramp(0, 0.01)] * 2)
    assert line.startswith("No video")


def test_seams_and_frozen_videos_are_said(shown) -> None:
    entry = {"seam_ratio": 1.5, "largest_other_phase": 1.1, "found": True}
    seams = {"first": 9, "block": 12, "borders_from": "estimated", "videos": []}
    said = shown(
        [late_ramp(0, 0.01)],
        seams={**seams, "metrics": {"difference": entry}},
        frozen=["0.mp4"],
    )
    assert "1.50" in said[1]
    assert "estimated" in said[1]
    assert "frozen" in said[2]
    hidden = {"difference": {**entry, "found": False}}
    assert "1.50" not in shown([late_ramp(0, 0.01)], seams={**seams, "metrics": hidden})[1]
