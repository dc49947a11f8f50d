"""hiar-vbench run: one process a dimension, each way to fail, resume, devices, clips."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killed import is_alive
from record_schema import check_record

from drift.errors import UsageError
from eval.cli.run import choose_devices
from eval.upstream.environment import Inspection

ROOT = Path(__file__).resolve().parents[3]
A, B = "a cat", "a dog"
QUALITY = ("imaging_quality", "dynamic_degree", "temporal_flickering")
NEEDED = ("musiq-spaq", "raft")


@pytest.fixture
def scene(make_suite, make_folder, fake_environment, put_weights, tmp_path):
    """Two prompts, two dimensions that need weights, one that needs none."""
    suite = make_suite([(A, QUALITY), (B, ("imaging_quality",))])
    videos = make_folder([A, B])
    put_weights("raft")
    # MUSIQ's published hash starts with 358bb6af: another file would be refused.
    out = tmp_path / "run"

    def arguments(*more: object, dimensions: str = "dynamic_degree,temporal_flickering"):
        return [
            "run", videos, "--out", out, "--env", tmp_path / "env", "--suite", suite,
            "--samples", 2, "--dimensions", dimensions, *more,
        ]  # fmt: skip

    fake_environment()
    return arguments


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_results_score_and_hold_no_paths(scene, vbench, tmp_path) -> None:
    code, out, err = vbench(*scene())
    assert code == 0, err
    result = read(tmp_path / "run" / "dynamic_degree_eval_results.json")["dynamic_degree"]
    assert [e["video_path"] for e in result[1]] == [f"{A}-0.mp4", f"{A}-1.mp4"]
    sizes = [(tmp_path / "videos" / f"{A}-{i}.mp4").stat().st_size for i in (0, 1)]
    assert [e["video_results"] for e in result[1]] == [size % 1000 / 1000 for size in sizes]
    record = read(tmp_path / "run" / "dynamic_degree_run.json")
    assert (record["status"], record["videos"], record["by"]) == ("done", 2, "vbench 0.1.5")
    check_record(record)
    for path in (tmp_path / "run").glob("*.json"):
        assert str(tmp_path) not in path.read_text()
    assert "2 of 2 dimensions measured" in out
    code, out, err = vbench("score", tmp_path / "run", "--out", tmp_path / "score.json")
    assert code == 1  # fourteen dimensions are missing
    check_record(tmp_path / "score.json")
    assert f"{result[0]:.4f}" in out


FAILURES = {
    "exit": "exited with 3",
    "stderr": "CUDA out of memory",
    "killed": "SIGKILL",
    "nothing": "FileNotFoundError",
    "nan": "not a finite number",
    "video_nan": "NaN",
    "infinite": "not a finite number",
    "leave_out": "left out a cat-1.mp4",
    "stranger": "none of the videos",
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failing_dimension_is_named_and_the_others_are_kept(
    scene, fake_environment, vbench, tmp_path, kind
) -> None:
    fake_environment(dynamic_degree=kind)
    code, out, err = vbench(*scene())
    assert code == 1
    assert FAILURES[kind] in err
    assert "1 of 2 dimensions measured" in out
    run = tmp_path / "run"
    assert not (run / "dynamic_degree_eval_results.json").exists()
    assert read(run / "dynamic_degree_run.json")["status"] == "failed"
    assert "temporal_flickering" in read(run / "temporal_flickering_eval_results.json")
    log = (run / "logs" / "dynamic_degree.log").read_text()
    assert "noise on stdout" in log
    assert ("Traceback" in log) == (kind in {"stderr", "nothing"})


def test_only_what_failed_runs_again(scene, fake_environment, vbench, tmp_path) -> None:
    fake_environment(dynamic_degree="exit")
    assert vbench(*scene())[0] == 1
    kept = tmp_path / "run" / "temporal_flickering_eval_results.json"
    before = kept.stat().st_mtime_ns
    fake_environment(temporal_flickering="exit")  # it must not be asked again
    code, _, err = vbench(*scene())
    assert code == 0, err
    assert "temporal_flickering: there from an earlier run" in err
    assert kept.stat().st_mtime_ns == before


def test_other_videos_or_a_changed_result_are_measured_again(scene, vbench, tmp_path) -> None:
    assert vbench(*scene())[0] == 0
    video = tmp_path / "videos" / f"{A}-0.mp4"
    os.utime(video, ns=(0, 0))
    code, _, err = vbench(*scene())
    assert code == 0
    assert "earlier run" not in err
    (tmp_path / "run" / "dynamic_degree_eval_results.json").write_text("{}")
    _, _, err = vbench(*scene())
    assert "dynamic_degree: there" not in err
    assert "temporal_flickering: there" in err


def test_hang_is_ended_with_its_children(scene, fake_environment, vbench, tmp_path) -> None:
    environment = fake_environment(dynamic_degree="hang")
    start = time.monotonic()
    code, _, err = vbench(*scene("--timeout", 3 / 3600, dimensions="dynamic_degree"))
    assert code == 1
    assert "did not end within 3 s" in err
    assert time.monotonic() - start < 30
    assert not is_alive(int((environment / "child.pid").read_text()))


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_what_is_running(scene, fake_environment, sign) -> None:
    environment = fake_environment(dynamic_degree="hang")
    command = [sys.executable, "-m", "eval", *map(str, scene())]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (environment / "child.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(sign)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again to go on" in err
    assert "Traceback" not in err
    assert not is_alive(int((environment / "child.pid").read_text()))


def test_missing_weights_and_modules_stop_before_any_work(
    scene, fake_environment, vbench, tmp_path
) -> None:
    fake_environment(dynamic_degree="no_module")
    code, _, err = vbench(*scene(dimensions="dynamic_degree,imaging_quality,temporal_flickering"))
    assert code == 2
    assert "hiar-vbench setup" in err
    assert "weights musiq-spaq: hiar-vbench weights fetch musiq-spaq" in err
    assert "--dimensions temporal_flickering" in err
    assert not list((tmp_path / "run").glob("*_run.json"))


def test_weights_of_another_content_are_refused(scene, put_weights, vbench) -> None:
    put_weights("musiq-spaq")
    code, _, err = vbench(*scene(dimensions="imaging_quality"))
    assert code == 2
    assert "sha256" in err
    assert "358bb6af" in err


def test_missing_video_stops_unless_it_is_allowed(scene, vbench, tmp_path) -> None:
    (tmp_path / "videos" / f"{A}-1.mp4").unlink()
    code, _, err = vbench(*scene())
    assert code == 2
    assert f"missing: {A}-1.mp4" in err
    code, _, err = vbench(*scene("--allow-missing"))
    assert code == 0, err
    record = read(tmp_path / "run" / "dynamic_degree_run.json")
    assert record["missing"] == [f"{A}-1.mp4"]
    assert record["videos"] == 1


def test_each_gpu_takes_one_dimension_at_a_time(
    scene, fake_environment, put_weights, vbench, tmp_path
) -> None:
    fake_environment(gpus=2)
    code, _, err = vbench(*scene())
    assert code == 0, err
    logs = [
        (tmp_path / "run" / "logs" / f"{name}.log").read_text()
        for name in ("dynamic_degree", "temporal_flickering")
    ]
    assert {line.split("CUDA devices ")[1][0] for line in logs} == {"0", "1"}
    assert all("on cuda" in line for line in logs)


@pytest.mark.parametrize(
    ("text", "gpus", "expected"),
    [("auto", 0, ("cpu",)), ("auto", 2, ("0", "1")), ("1", 2, ("1",)), ("cpu", 2, ("cpu",))],
)
def test_devices(monkeypatch, text, gpus, expected) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    inspection = Inspection(python="", packages={}, broken={}, failures={}, cuda_devices=gpus)
    assert choose_devices(text, inspection) == expected
    with pytest.raises(UsageError, match="GPUs here"):
        choose_devices("7", inspection)


def test_visible_devices_keep_their_names(monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    inspection = Inspection(python="", packages={}, broken={}, failures={}, cuda_devices=2)
    assert choose_devices("auto", inspection) == ("4", "6")


def test_own_videos_with_any_name(scene, vbench, make_video, box, tmp_path) -> None:
    for index, name in enumerate(("x_1.mp4", "x_2.mp4", "ä ö.mp4")):
        make_video(tmp_path / "own" / name, box(8, index))
    code, _, err = vbench(
        "run", tmp_path / "own", "--out", tmp_path / "run", "--env", tmp_path / "env",
        "--protocol", "vbench-custom", "--dimensions", "temporal_flickering",
    )  # fmt: skip
    assert code == 0, err
    result = read(tmp_path / "run" / "temporal_flickering_eval_results.json")
    names = [entry["video_path"] for entry in result["temporal_flickering"][1]]
    assert names == ["x_1.mp4", "x_2.mp4", "ä ö.mp4"]


@pytest.mark.parametrize("protocol", ["vbench-long", "vbench-long-custom"])
def test_long_videos_are_cut_once_and_grouped(scene, vbench, tmp_path, protocol) -> None:
    arguments = scene("--protocol", protocol)
    code, _, err = vbench(*arguments)
    assert code == 0, err
    assert err.count("into clips") == 1
    record = read(tmp_path / "run" / "dynamic_degree_run.json")
    videos = 2 if protocol == "vbench-long" else 4
    clips = record["clips"]
    assert (record["videos"], clips["videos"], clips["clips"]) == (videos, videos, 3 * videos)
    # The fake cuts by copying and adds a byte a clip: its value rises by 1/1000 a clip.
    assert clips["last_minus_first"] == pytest.approx(0.002, abs=1e-9)
    assert clips["mean_over_videos"] == pytest.approx(record["value"], abs=1e-9)
    result = read(tmp_path / "run" / "dynamic_degree_eval_results.json")["dynamic_degree"]
    assert result[1][0]["video_path"] == f"{A}-0_000.mp4"
    code, _, err = vbench(*arguments)
    assert code == 0
    assert "into clips" not in err


def test_clips_of_a_stopped_run_are_cut_again(scene, vbench, tmp_path) -> None:
    arguments = scene("--protocol", "vbench-long", dimensions="temporal_flickering")
    assert vbench(*arguments)[0] == 0
    work = tmp_path / "run" / "work"
    (work / "clips.json").unlink()
    next((work / "videos" / "split_clip").rglob("*_002.mp4")).unlink()
    (tmp_path / "run" / "temporal_flickering_run.json").unlink()
    code, _, err = vbench(*arguments)
    assert code == 0, err
    assert read(tmp_path / "run" / "temporal_flickering_run.json")["clips"]["clips"] == 6


def test_a_failed_cut_fails_every_dimension_and_names_its_log(scene, vbench, tmp_path) -> None:
    for path in list((tmp_path / "videos").iterdir()):
        path.rename(path.with_suffix(".gif"))  # upstream cuts no gif
    code, out, err = vbench(*scene("--protocol", "vbench-long"))
    assert code == 1
    assert err.count("could not be cut into clips") == 2
    assert "logs/split.log" in err
    assert "0 of 2 dimensions measured" in out


def test_no_environment_is_one_line(scene, vbench, tmp_path) -> None:
    code, _, err = vbench(*scene("--env", tmp_path / "nowhere"))
    assert code == 2
    assert "hiar-vbench setup" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "more",
    [
        ("--dimensions", "colour"),
        ("--dimensions", ""),
        ("--dimensions", "color", "--protocol", "vbench-custom"),
        ("--timeout", "0"),
        ("--in-process", "--dimensions", "color"),
        ("--in-process", "--protocol", "vbench-long"),
    ],
)
def test_wrong_use_is_one_line(scene, vbench, more) -> None:
    code, out, err = vbench(*scene(), *more)
    assert code == 2
    assert out == ""
    assert err.startswith("hiar-vbench: ")
