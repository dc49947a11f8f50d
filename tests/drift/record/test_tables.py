"""frames.parquet gives back what was written: values, skipped frames, settings and preset."""

import dataclasses

import pytest

from drift import UsageError
from drift.metrics.preset import Preset, PresetTerm, preset_v1
from drift.metrics.registry import METRICS
from drift.record.tables import read_frames, write_frames
from drift.score.score import score_metric


@pytest.fixture
def run(make_run):
    values = {
        path: {"musiq": [60.0 + i for i in range(0, 20, 4)], "saturation": [0.1] * 20}
        for path in ("b.mp4", "a/c.mp4", "d,e\n.mp4")
    }
    run = make_run(values, prompts={"b.mp4": "a cat"}, segments=4, cut_policy="drop-pair")
    terms = (
        PresetTerm(metric="musiq", family="quality", scale=10.0, weight=0.25),
        PresetTerm(metric="saturation", family="low-level", scale=0.5, weight=0.75),
    )
    rows = tuple(
        dataclasses.replace(row, frames={"musiq": list(range(0, 20, 4))}) for row in run.rows
    )
    return dataclasses.replace(run, rows=rows, preset=Preset(name="mine", terms=terms))


def test_a_run_comes_back_as_it_was(run, tmp_path):
    write_frames(tmp_path / "frames.parquet", run)
    back = read_frames(tmp_path / "frames.parquet")
    assert back == run
    assert back.preset.sha256 == run.preset.sha256


def test_a_run_without_a_scored_video_comes_back(run, tmp_path):
    broken = dataclasses.replace(
        run.rows[0], status="empty", reason="no bytes", values={}, frames={}, media={}
    )
    empty = dataclasses.replace(run, rows=(broken,))
    write_frames(tmp_path / "frames.parquet", empty)
    assert read_frames(tmp_path / "frames.parquet") == empty


def test_frames_that_are_skipped_stand_in_the_right_segment():
    # Frames 0, 4, ..., 16 of 20, five segments of 4 frames: one value each.
    score = score_metric(
        [3.0, 1.0, 4.0, 1.0, 5.0],
        METRICS["saturation"],
        preset_v1().term("saturation"),
        20,
        5,
        frames=range(0, 20, 4),
    )
    assert score.segment_means == (3.0, 1.0, 4.0, 1.0, 5.0)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_frames(tmp_path / "frames.parquet")
    (tmp_path / "frames.parquet").write_text("no parquet")
    with pytest.raises(UsageError, match="no frames file"):
        read_frames(tmp_path / "frames.parquet")
