"""Frozen videos are marked in every result of a run, though nothing in them drifts."""

import csv
import json

import pytest

from drift import score_folder
from drift.score.config import ScoreConfig
from drift.score.frozen import is_frozen

pytestmark = pytest.mark.numerics


@pytest.mark.parametrize(
    ("differences", "frozen"),
    [
        ([0.0] * 99, True),
        ([3.0] * 99, False),
        ([3.0] * 79 + [0.0] * 20, True),  # the last fifth
        ([3.0] * 69 + [0.0] * 30, True),
        ([3.0] * 89 + [0.0] * 10, False),  # half of a fifth
        ([3.0, 0.0, 0.0, 0.0, 0.0] * 19 + [3.0, 0.0, 0.0, 0.0], False),  # every frame five times
        ([0.0] * 9 + [5.0] + [0.0] * 89, True),  # a key frame
    ],
)
def test_what_counts_as_frozen(differences, frozen):
    assert is_frozen(differences, 100, 5) is frozen


def test_a_frozen_video_is_marked_whatever_is_measured(tmp_path, make_video, pan):
    moving = pan("coffee", 32)
    make_video(tmp_path / "v" / "moving.mp4", moving)
    make_video(tmp_path / "v" / "frozen.mp4", [moving[0]] * 32)
    config = ScoreConfig(metrics=("saturation",))
    result = score_folder(tmp_path / "v", out=tmp_path / "run", config=config, progress=None)
    assert result.summary["frozen"] == ["frozen.mp4"]
    assert any("frozen.mp4" in line for line in result.summary["warnings"])
    with (tmp_path / "run" / "videos.csv").open() as file:
        marks = {row["path"]: row["frozen"] for row in csv.DictReader(file)}
    assert marks == {"frozen.mp4": "true", "moving.mp4": "false"}
    scores = {score.path: score.score for score in result.videos}
    assert scores["frozen.mp4"] < scores["moving.mp4"]  # why the mark is needed


def test_versions_stand_in_the_run_and_in_its_summary(tmp_path, make_video, pan):
    make_video(tmp_path / "v" / "a.mp4", pan("coffee", 12, 48, 64))
    config = ScoreConfig(metrics=("saturation", "brightness"))
    score_folder(tmp_path / "v", out=tmp_path / "run", config=config, progress=None)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["provenance"]["metric_versions"] == {"saturation": 1, "brightness": 1}
    assert {name: entry["version"] for name, entry in summary["metrics"].items()} == {
        "saturation": 1,
        "brightness": 1,
    }
