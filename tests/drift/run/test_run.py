"""Whole runs: files, resume, workers, names, failures, and the score against its definition."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import drift
from drift import ScoreConfig, UsageError, score_folder
from drift.metrics.preset import preset_v1
from drift.metrics.registry import EXPOSURE, FAST

pytestmark = pytest.mark.numerics

RESULTS = ("frames.parquet", "videos.csv", "summary.json", "report.html")


def files(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in RESULTS}


@pytest.fixture(scope="module")
def run(clips, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return score_folder(clips, out=out, progress=None)


def test_videos_and_frames_tables(run):
    videos = pd.read_csv(run.out / "videos.csv", keep_default_na=False)
    assert list(videos) == [
        "path",
        "prompt",
        "status",
        "frames",
        "fps",
        "width",
        "height",
        "codec",
        *(f"{name}_{part}" for name in ScoreConfig().metrics for part in ("slope", "drift")),
        "score",
        "score_floor",
        "cuts",
        "duration_s",
        "frozen",
        "sidecar_fps",
    ]
    assert list(videos.path) == ["astronaut.mp4", "chelsea.mkv", "coffee.webm", "rocket.mov"]
    assert list(videos.prompt) == ["a person", "a cat", "", "a person"]
    assert list(videos.codec) == ["h264", "hevc", "vp9", "h264"]
    frames = pd.read_parquet(run.out / "frames.parquet")
    assert list(frames) == ["video", "metric", "frame", "value"]
    assert len(frames) == 4 * (5 * 32 + 31)  # a pair metric has one value fewer
    assert not list(run.out.rglob("*.tmp*"))


def test_summary_follows_the_definition_from_frames(run):
    frames = pd.read_parquet(run.out / "frames.parquet")
    frames = frames[frames.metric.isin(FAST)].copy()
    frames["segment"] = frames.frame.map(
        lambda f: next(i for i in range(5) if f < (i + 1) * 32 // 5)
    )
    frames["m"] = np.where(frames.metric == "sharpness", np.log(frames.value), frames.value)
    means = frames.groupby(["metric", "video", "segment"]).m.mean().unstack()
    slopes = means.apply(lambda row: np.polyfit(range(5), row, 1)[0], axis=1).unstack("metric")
    scale = pd.Series({"saturation": 0.15, "sharpness": math.log(2)})
    drifts = (4 * slopes.abs() / scale).clip(upper=1)
    summary = run.summary
    for name in ("saturation", "sharpness"):
        entry = summary["metrics"][name]
        assert entry["segment_means"] == pytest.approx(means.loc[name].mean().tolist())
        assert entry["mean_slope"] == pytest.approx(slopes[name].mean())
        assert entry["mean_abs_slope"] == pytest.approx(slopes[name].abs().mean())
        assert entry["drift"] == pytest.approx(drifts[name].mean())
        assert (entry["weight"], entry["scale"]) == (0.5, pytest.approx(scale[name]))
        low, high = entry["ci95"]
        assert low <= entry["mean_slope"] <= high
    assert run.drift_score == pytest.approx(drifts.mean(axis=1).mean())
    videos = pd.read_csv(run.out / "videos.csv").set_index("path")
    np.testing.assert_allclose(videos.score, drifts.mean(axis=1)[videos.index])


def test_summary_has_the_fields_of_the_contract(run):
    summary = json.loads((run.out / "summary.json").read_text())
    assert summary == run.summary
    assert (summary["schema"], summary["videos"], summary["segments"]) == ("drift/1", 4, 5)
    assert summary["preset"] == {"name": "v1", "sha256": preset_v1().sha256}
    assert set(summary["metrics"]["sharpness"]) >= {
        "unit",
        "better",
        "segment_means",
        "mean_slope",
        "mean_abs_slope",
        "ci95",
        "noise_floor",
        "scale",
        "weight",
        "drift",
        "framepack_delta15",
        "vde",
    }
    score = summary["drift_score"]
    assert score["partial"] is True
    assert score["missing_metrics"] == ["musiq", "clip_iqa", "dino_coherence", "lpips"]
    assert summary["prompts"] == 3  # two videos share one
    assert summary["passed_over"] == 1
    assert summary["failed"] == []
    assert any("mixed codecs" in line for line in summary["warnings"])
    assert summary["provenance"]["config"]["segments"] == 5


def test_results_hold_no_path_of_this_machine(run, clips):
    for name, data in files(run.out).items():
        assert str(clips).encode() not in data, name
        assert str(Path.home()).encode() + b"/" not in data, name


def test_resume_equals_fresh_and_decodes_nothing(run, clips, tmp_path, monkeypatch):
    shutil.copytree(run.out / "records", tmp_path / "records")

    def refuse(path):
        raise AssertionError(f"{path} was decoded again")

    monkeypatch.setattr("drift.run.measure.open_video", refuse)
    score_folder(clips, out=tmp_path, progress=None)
    assert files(tmp_path) == files(run.out)


def test_changed_content_is_measured_again(clips, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    video = Path(shutil.copy(clips / "astronaut.mp4", folder / "x.mp4"))
    first = score_folder(folder, out=tmp_path / "run", progress=None)
    shutil.copy(clips / "rocket.mov", video)
    second = score_folder(folder, out=tmp_path / "run", progress=None)
    assert first.drift_score != second.drift_score


def test_a_new_metric_decodes_and_keeps_the_old(clips, tmp_path, monkeypatch):
    one = ScoreConfig(metrics=("saturation",))
    score_folder(clips, out=tmp_path / "a", config=one, glob="*.mp4", progress=None)
    both = score_folder(clips, out=tmp_path / "a", glob="*.mp4", progress=None)
    fresh = score_folder(clips, out=tmp_path / "b", glob="*.mp4", progress=None)
    assert both.summary == fresh.summary
    monkeypatch.setattr("drift.run.measure.open_video", None)
    ten = score_folder(
        clips, out=tmp_path / "a", config=ScoreConfig(segments=8), glob="*.mp4", progress=None
    )
    assert len(ten.summary["metrics"]["saturation"]["segment_means"]) == 8


def test_worker_count_does_not_matter(run, clips, tmp_path):
    score_folder(clips, out=tmp_path, workers=3, progress=None)
    assert files(tmp_path) == files(run.out)


def test_rebuild_needs_frames_only(run, tmp_path):
    shutil.copy(run.out / "frames.parquet", tmp_path)
    drift.rebuild(tmp_path)
    fresh, rebuilt = files(run.out), files(tmp_path)
    assert b"the run's records are gone" in rebuilt["report.html"]  # they hold the thumbnails
    for made in (fresh, rebuilt):
        made.pop("report.html")
    assert rebuilt == fresh


def test_rebuild_keeps_the_report_while_the_records_are_there(run, tmp_path):
    shutil.copy(run.out / "frames.parquet", tmp_path)
    shutil.copytree(run.out / "records", tmp_path / "records")
    drift.rebuild(tmp_path)
    assert files(tmp_path) == files(run.out)


def test_equal_names_in_two_folders_do_not_collide(clips, tmp_path):
    for parent, source in (("a", "astronaut.mp4"), ("b", "rocket.mov")):
        (tmp_path / parent / "videos").mkdir(parents=True)
        shutil.copy(clips / source, tmp_path / parent / "videos" / "x.mp4")
    folders = [tmp_path / "b" / "videos", tmp_path / "a" / "videos"]
    result = score_folder(folders, out=tmp_path / "run", progress=None)
    assert [video.path for video in result.videos] == ["a/videos/x.mp4", "b/videos/x.mp4"]
    assert result.videos[0].score != result.videos[1].score
    swapped = score_folder(folders[::-1], out=tmp_path / "run2", progress=None)
    assert swapped.summary == result.summary


def test_recursive_names_are_relative(clips, tmp_path):
    (tmp_path / "v" / "deep").mkdir(parents=True)
    shutil.copy(clips / "astronaut.mp4", tmp_path / "v" / "x.mp4")
    shutil.copy(clips / "rocket.mov", tmp_path / "v" / "deep" / "x.mp4")
    flat = score_folder(tmp_path / "v", out=tmp_path / "v" / "run", progress=None)
    deep = score_folder(tmp_path / "v", out=tmp_path / "v" / "run", recursive=True, progress=None)
    assert [video.path for video in flat.videos] == ["x.mp4"]
    assert [video.path for video in deep.videos] == ["deep/x.mp4", "x.mp4"]
    assert deep.summary["passed_over"] == 0  # the run itself is not looked at


def test_broken_videos_stand_in_failed_and_in_no_number(broken, tmp_path):
    result = score_folder(broken, out=tmp_path / "all", progress=None)
    status = {row["path"]: row["status"] for row in result.failed}
    assert status == {
        "cut.mp4": "truncated",
        "cut-chelsea.mkv": "truncated",
        "cut-coffee.webm": "truncated",
        "garbage.mp4": "unreadable",
        "text.avi": "unreadable",
        "nothing.mp4": "empty",
        "short.mp4": "too_short",
    }
    assert (result.summary["videos"], result.summary["scored"]) == (8, 1)
    assert result.summary["passed_over"] == 2
    alone = score_folder(broken, out=tmp_path / "one", glob="good*", progress=None)
    assert result.summary["metrics"] == alone.summary["metrics"]
    rows = pd.read_csv(tmp_path / "all" / "videos.csv").set_index("path")
    assert rows.loc["short.mp4", "frames"] == 9
    assert rows.score.notna().sum() == 1
    drift.rebuild(tmp_path / "all")
    assert json.loads((tmp_path / "all" / "summary.json").read_text()) == result.summary


def test_a_lossless_constant_video_scores_0(tmp_path, make_video, pan):
    (tmp_path / "v").mkdir()
    make_video(tmp_path / "v" / "still.mp4", pan("coffee", 1) * 21, "libx264rgb", "rgb24")
    result = score_folder(tmp_path / "v", out=tmp_path / "run", progress=None)
    assert result.drift_score == 0
    assert all(m["mean_slope"] == 0 for m in result.summary["metrics"].values())


def test_a_reversed_lossless_video_negates_slopes(tmp_path, make_video, pan):
    (tmp_path / "v").mkdir()
    frames = pan("chelsea", 25)
    make_video(tmp_path / "v" / "a.mp4", frames, "libx264rgb", "rgb24")
    make_video(tmp_path / "v" / "b.mp4", frames[::-1], "libx264rgb", "rgb24")
    forward, back = score_folder(tmp_path / "v", out=tmp_path / "run", progress=None).videos
    for name in (*FAST, *EXPOSURE):
        assert back.metrics[name].slope == pytest.approx(-forward.metrics[name].slope, rel=1e-9)
    assert back.score == pytest.approx(forward.score, rel=1e-9)


def test_broken_sidecars_are_a_warning(clips, tmp_path):
    (tmp_path / "v").mkdir()
    shutil.copy(clips / "astronaut.mp4", tmp_path / "v" / "x.mp4")
    (tmp_path / "v" / "x.json").write_text("{broken")
    result = score_folder(tmp_path / "v", out=tmp_path / "run", progress=None)
    assert any("x.json is not JSON" in line for line in result.summary["warnings"])


def test_a_broken_record_is_measured_again(run, clips, tmp_path):
    shutil.copytree(run.out / "records", tmp_path / "records")
    for record in (tmp_path / "records").iterdir():
        record.write_text(record.read_text()[:100])
    score_folder(clips, out=tmp_path, progress=None)
    assert files(tmp_path) == files(run.out)


def test_wrong_use_is_named(clips, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no video"):
        score_folder(tmp_path / "empty", out=tmp_path / "run", progress=None)
    with pytest.raises(UsageError, match="no such file or folder"):
        score_folder(tmp_path / "absent", out=tmp_path / "run", progress=None)
    with pytest.raises(UsageError, match="given twice"):
        score_folder([clips, clips], out=tmp_path / "run", progress=None)
    with pytest.raises(UsageError, match="folder of its own"):
        score_folder(clips, out=clips, progress=None)
    with pytest.raises(UsageError, match="do not overlap"):
        score_folder([clips, clips.parent], out=tmp_path, recursive=True, progress=None)
    assert not (tmp_path / "run").exists()


def test_progress_goes_to_stderr_as_it_is_at_the_time(clips, tmp_path, capsys):
    """Not as it was when the package was imported: a notebook or a test puts its own there."""
    score_folder(clips, out=tmp_path / "run")
    assert "[4/4]" in capsys.readouterr().err
