"""Drift against length: closed forms, agreement with a run of cut videos, refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest

from drift import UsageError
from drift.compare.comparable import NamedRun
from drift.compare.lengths import drift_by_length, first_seconds
from drift.metrics.preset import preset_v1
from drift.record.summary import build_summary, score_videos
from drift.record.tables import write_frames

pytestmark = pytest.mark.numerics

FPS, FRAMES = 16, 961  # 60 s, the sampler's 4 n + 1 frames
SCALE = 0.15  # of saturation in preset v1


def steady_rise(total: float, num_frames: int = FRAMES) -> list[float]:
    return (0.2 + total * np.arange(num_frames) / (num_frames - 1)).tolist()


@pytest.fixture
def noisy(make_run):
    """Three videos of saturation and LPIPS, which has a value a pair."""
    rng = np.random.default_rng(0)
    values = {
        f"{i}.mp4": {
            "lpips": (0.1 + 1e-4 * np.arange(FRAMES - 1) * rng.random(FRAMES - 1)).tolist(),
            "saturation": (0.3 + 0.1 * rng.random(FRAMES)).tolist(),
        }
        for i in range(3)
    }
    return make_run(values, prompts={f"{i}.mp4": f"p{i}" for i in range(3)})


def test_a_steady_rise_drifts_in_proportion_to_length(make_run):
    """The line through five segments' means rises by 4/5 of the whole: half by half the length."""
    total = 0.1
    data = make_run({f"{i}.mp4": {"saturation": steady_rise(total)} for i in range(3)})
    result = drift_by_length([NamedRun(name="a", data=data)], (60, 15, 30))
    assert result["seconds"] == [15, 30, 60]
    values = [entry["score"]["value"] for entry in result["runs"][0]["lengths"]]
    # Segments of a video of 240 n + 1 frames are not all equally long: one frame in 48.
    assert values == pytest.approx(
        [0.8 * total / SCALE * share for share in (0.25, 0.5, 1)], rel=0.02
    )


def test_equals_a_run_of_cut_videos(noisy, make_run):
    """Twenty seconds are the first 321 frames and the 320 pairs between them."""
    cut = make_run(
        {
            row.path: {"lpips": row.values["lpips"][:320],
                       "saturation": row.values["saturation"][:321]}
            for row in noisy.rows
        },
        prompts={row.path: row.prompt for row in noisy.rows},
    )  # fmt: skip
    preset = preset_v1()
    summary = build_summary(cut, score_videos(cut, preset), preset)
    result = drift_by_length([NamedRun(name="a", data=noisy)], [20.0])
    entry = result["runs"][0]["lengths"][0]
    assert entry["score"]["value"] == summary["drift_score"]["value"]
    assert entry["score"]["ci95"] == summary["drift_score"]["ci95"]
    assert entry["metrics"]["lpips"]["drift_ci95"] == summary["metrics"]["lpips"]["drift_ci95"]


def test_frames_that_were_skipped_stay_skipped(noisy):
    rows = tuple(
        replace(
            row,
            values={"saturation": row.values["saturation"][::4]},
            frames={"saturation": list(range(0, FRAMES, 4))},
        )
        for row in noisy.rows
    )
    data = replace(noisy, rows=rows, config=replace(noisy.config, metrics=("saturation",)))
    kept = first_seconds(NamedRun(name="a", data=data), 5.0).rows[0]
    assert kept.frames["saturation"] == list(range(0, 81, 4))
    assert kept.values["saturation"] == rows[0].values["saturation"][:21]
    assert kept.media["frames"] == 81


def test_a_video_may_lack_its_last_frame(make_run):
    """320 frames at 16 a second are 20 s."""
    data = make_run({"a.mp4": {"saturation": steady_rise(0.1, 320)}})
    assert first_seconds(NamedRun(name="a", data=data), 20.0).rows[0].media["frames"] == 320


def test_failed_videos_stay_failed(noisy):
    failed = replace(noisy.rows[0], status="unreadable", media={}, values={})
    data = replace(noisy, rows=(failed, *noisy.rows[1:]))
    result = drift_by_length([NamedRun(name="a", data=data)], [20.0])
    assert (result["runs"][0]["videos"], result["runs"][0]["prompts"]) == (2, 2)


@pytest.mark.parametrize(
    ("seconds", "media", "message"),
    [
        ([61.0], {}, "0.mp4: 60.06 s; 61 s is longer"),
        ([0.25], {}, "5 frames in 0.25 s; 5 segments need two each"),
        ([5.0], {"fps": None}, "no frame rate; score it again with --fps"),
        ([0.0, 5.0], {}, "lengths 0, 5: give one or more above 0"),
        ([], {}, "lengths none"),
    ],
)
def test_refusals_name_the_video_and_the_remedy(noisy, seconds, media, message):
    rows = tuple(replace(row, media={**row.media, **media}) for row in noisy.rows)
    with pytest.raises(UsageError, match=message):
        drift_by_length([NamedRun(name="a", data=replace(noisy, rows=rows))], seconds)


def test_command_prints_and_writes(noisy, tmp_path, command):
    write_frames(tmp_path / "long" / "frames.parquet", noisy)
    out = tmp_path / "lengths.json"
    code, text, _ = command(
        "lengths", tmp_path / "long", "--at", "20,60", "--metrics", "saturation", "--out", out
    )
    assert code == 0
    written = json.loads(out.read_text())
    assert (written["schema"], written["seconds"]) == ("drift-lengths/1", [20, 60])
    assert written["runs"][0]["metrics"] == ["saturation"]
    score = written["runs"][0]["lengths"][1]["score"]
    assert f"long  60 s   {score['value']:.4f}" in text
    assert "partial scores: without clip_iqa, dino_coherence, lpips, musiq, sharpness\n" in text
    code, text, _ = command("lengths", tmp_path / "long", "--at", "60", "--json")
    assert (code, json.loads(text)["seconds"]) == (0, [60])


@pytest.mark.parametrize(
    ("at", "message"),
    [("5,long", "--at 5,long: give seconds"), ("90", "0.mp4: 60.06 s; 90 s is longer")],
)
def test_command_refuses(noisy, tmp_path, command, at, message):
    write_frames(tmp_path / "long" / "frames.parquet", noisy)
    code, _, errors = command("lengths", tmp_path / "long", "--at", at)
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1
