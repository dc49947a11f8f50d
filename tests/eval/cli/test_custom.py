"""hiar-vbench run --custom: own prompts, failed videos, stale files, Quality alone."""

import hashlib
import json
from pathlib import Path

import pytest

from eval.cli import diagnosis
from eval.protocol.dimensions import DIMENSIONS
from eval.protocol.own_list import read_own_list

QUALITY = tuple(d.name for d in DIMENSIONS if d.group == "quality")
NAMES = ("0000-0.mp4", "0001-0.mp4", "0002-0.mp4")


def read(path: Path) -> dict:
    return json.loads(path.read_text())


@pytest.fixture
def custom(make_video, box, fake_environment, monkeypatch, tmp_path: Path):
    """Three videos, their list, and a fake environment that needs no weights."""
    for index, name in enumerate(NAMES):
        make_video(tmp_path / "videos" / name, box(8, index))
    listed = tmp_path / "prompts.csv"
    listed.write_text("prompt\na cat\na dog\na cow\n")
    monkeypatch.setattr(diagnosis, "find_lacks", lambda *args, **kwargs: ())
    fake_environment()

    def arguments(*more: object) -> list[object]:
        return [
            "run", tmp_path / "videos", "--custom", listed, "--out", tmp_path / "run",
            "--samples", 1, "--env", tmp_path / "env", *more,
        ]  # fmt: skip

    return arguments


def test_seven_dimensions_and_quality_alone(custom, vbench, tmp_path) -> None:
    code, out, err = vbench(*custom())
    assert code == 0, err
    assert "7 of 7 dimensions measured" in out
    for name in QUALITY:
        record = read(tmp_path / "run" / f"{name}_run.json")
        assert record["protocol"] == "vbench-custom"
        assert record["full_info_sha256"] is None  # upstream reads none for own videos
        assert record["list_sha256"] == read_own_list(tmp_path / "prompts.csv", 1).sha256
    code, out, err = vbench("score", tmp_path / "run", "--out", tmp_path / "score.json")
    assert (code, err) == (0, "")
    assert "Quality" in out
    assert "Total" not in out
    score = read(tmp_path / "score.json")
    assert (score["semantic"], score["total"], score["missing"]) == (None, None, [])
    sizes = [(tmp_path / "videos" / name).stat().st_size % 1000 / 1000 for name in NAMES]
    raw = sum(sizes) / 3
    weighted = sum(
        d.weight * (raw - d.low) / (d.high - d.low) for d in DIMENSIONS if d.group == "quality"
    )
    assert score["quality"] == pytest.approx(weighted / 6.5)  # seven weights, one of them a half


def test_a_missing_quality_dimension_is_named(custom, vbench, tmp_path) -> None:
    assert vbench(*custom("--dimensions", "temporal_flickering"))[0] == 0
    code, _, err = vbench("score", tmp_path / "run")
    assert code == 1
    assert "6 of 7 dimensions are missing" in err


def test_failed_videos_count_as_zero(custom, vbench, tmp_path) -> None:
    whole = [(tmp_path / "videos" / name).stat().st_size % 1000 / 1000 for name in NAMES]
    (tmp_path / "videos" / NAMES[0]).unlink()
    (tmp_path / "videos" / NAMES[1]).write_bytes(b"cut short")
    few = custom("--dimensions", "dynamic_degree")
    code, _, err = vbench(*few)
    assert code == 2
    assert f"missing: {NAMES[0]}" in err
    code, _, err = vbench(*few, "--allow-missing")
    assert code == 0, err
    record = read(tmp_path / "run" / "dynamic_degree_run.json")
    assert record["failed"] == list(NAMES[:2])
    assert record["videos"] == 1
    assert record["value_of_measured"] == pytest.approx(whole[2])
    assert record["value"] == pytest.approx(whole[2] / 3)
    result = read(tmp_path / "run" / "dynamic_degree_eval_results.json")["dynamic_degree"]
    assert result[0] == record["value"]
    assert [e["video_path"] for e in result[1] if e.get("failed")] == list(NAMES[:2])


def test_in_process_counts_failures_too(custom, vbench, tmp_path) -> None:
    args = custom("--in-process")
    assert vbench(*args)[0] == 0
    before = read(tmp_path / "run" / "temporal_flickering_run.json")
    (tmp_path / "videos" / NAMES[2]).unlink()
    assert vbench(*args, "--allow-missing")[0] == 0
    after = read(tmp_path / "run" / "temporal_flickering_run.json")
    values = read(tmp_path / "run" / "temporal_flickering_eval_results.json")
    kept = [entry["video_results"] for entry in values["temporal_flickering"][1]][:2]
    assert after["value"] == pytest.approx(sum(kept) / 3)
    assert after["set_sha256"] != before["set_sha256"]


@pytest.mark.parametrize("more", [(), ("--allow-missing",)])
def test_a_video_of_a_larger_run_is_refused(custom, vbench, make_video, box, tmp_path, more):
    make_video(tmp_path / "videos" / "0003-0.mp4", box(8, 9))
    code, out, err = vbench(*custom("--in-process", *more))
    assert (code, out) == (2, "")
    assert "stale: 0003-0.mp4" in err
    assert not (tmp_path / "run").exists()


def test_a_copy_is_refused(custom, vbench, tmp_path) -> None:
    first, second, _ = (tmp_path / "videos" / name for name in NAMES)
    second.write_bytes(first.read_bytes())
    code, _, err = vbench(*custom("--in-process", "--allow-missing"))
    assert code == 2
    assert f"copy: {NAMES[1]}" in err


def test_results_of_a_larger_run_are_refused(custom, vbench, tmp_path) -> None:
    assert vbench(*custom("--dimensions", "dynamic_degree,temporal_flickering"))[0] == 0
    (tmp_path / "prompts.csv").write_text("prompt\na cat\na dog\n")
    (tmp_path / "videos" / NAMES[2]).unlink()
    fewer = custom("--dimensions", "temporal_flickering")
    code, _, err = vbench(*fewer)
    assert code == 2
    assert "dynamic_degree_eval_results.json is stale" in err
    (tmp_path / "run" / "dynamic_degree_eval_results.json").unlink()
    assert vbench(*fewer)[0] == 0


def test_score_refuses_what_does_not_belong_together(custom, vbench, tmp_path) -> None:
    run = tmp_path / "run"
    assert vbench(*custom("--dimensions", "dynamic_degree,temporal_flickering"))[0] == 0
    path = run / "dynamic_degree_run.json"
    record = read(path)
    path.write_text(json.dumps(record | {"set_sha256": "other"}))
    code, out, err = vbench("score", run)
    assert (code, out, err.count("\n")) == (2, "", 1)
    path.write_text(json.dumps(record))
    result = run / "dynamic_degree_eval_results.json"
    result.write_text(json.dumps({"dynamic_degree": [0.9, []]}))
    code, out, err = vbench("score", run)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_a_failed_dimension_leaves_no_earlier_result(
    custom, fake_environment, vbench, tmp_path
) -> None:
    args = custom("--protocol", "vbench-long-custom", "--dimensions", "dynamic_degree")
    suite = tmp_path / "suite.json"
    suite.write_text(json.dumps([{"prompt_en": "a", "dimension": ["dynamic_degree"]}]))
    args = [*args, "--suite", suite]
    assert vbench(*args)[0] == 0
    record = read(tmp_path / "run" / "dynamic_degree_run.json")
    assert record["full_info_sha256"] == hashlib.sha256(suite.read_bytes()).hexdigest()
    result = tmp_path / "run" / "dynamic_degree_eval_results.json"
    assert result.exists()
    (tmp_path / "run" / "dynamic_degree_run.json").unlink()
    fake_environment(dynamic_degree="exit")
    assert vbench(*args)[0] == 1
    assert not result.exists()
