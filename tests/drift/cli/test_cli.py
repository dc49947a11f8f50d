"""The real command: exit codes, one-line errors, fast help, Ctrl-C."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_score_then_report(drift_command, clips, tmp_path):
    done = drift_command("score", clips, "--out", tmp_path / "run", "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert "drift score" in done.stdout
    assert "[4/4]" in done.stderr
    assert "left" in done.stderr
    before = (tmp_path / "run" / "summary.json").read_bytes()
    for name in ("summary.json", "videos.csv", "report.html"):
        (tmp_path / "run" / name).unlink()
    again = drift_command("report", tmp_path / "run", "--json")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "run" / "summary.json").read_bytes() == before
    assert json.loads(again.stdout) == json.loads(before)


def test_a_broken_video_fails_the_run_unless_allowed(drift_command, broken, tmp_path):
    done = drift_command("score", broken, "--out", tmp_path / "run", "--workers", 1)
    assert done.returncode == 1
    for line in ("cut.mp4: truncated: ", "nothing.mp4: empty: ", "short.mp4: too_short: 9 frames"):
        assert f"drift: {line}" in done.stderr
    allowed = drift_command("score", broken, "--out", tmp_path / "run", "--allow-missing")
    assert allowed.returncode == 0
    assert "short.mp4: too_short" in allowed.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert len(summary["failed"]) == 7
    assert summary["drift_score"]["value"] is not None


def test_nothing_scored_is_a_failure_even_if_allowed(drift_command, broken, tmp_path):
    done = drift_command(
        "score", broken, "--glob", "g*b*.mp4", "--allow-missing", "--out", tmp_path / "run"
    )
    assert done.returncode == 1
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["drift_score"]["value"] is None
    assert "No video could be scored" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--metrics", "nonsense"], "'nonsense' is unknown"),
        (["--segments", "1"], "segments is 1"),
        (["--workers", "0"], "workers is 0"),
        (["--glob", "*.xyz"], "no video that matches '*.xyz'"),
        (["--segments", "five"], "invalid int value: 'five'"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(drift_command, clips, tmp_path, arguments, words):
    done = drift_command("score", clips, "--out", tmp_path / "run", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_wrong_folders_are_exit_2_and_debug_shows_the_traceback(drift_command, tmp_path):
    (tmp_path / "none").mkdir()
    for folder in (tmp_path / "none", tmp_path / "absent"):
        done = drift_command("score", folder, "--out", tmp_path / "run")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    debug = drift_command("score", tmp_path / "none", "--out", tmp_path / "run", "--debug")
    assert "Traceback" in debug.stderr
    report = drift_command("report", tmp_path / "none")
    assert (report.returncode, report.stderr.count("\n")) == (2, 1)


def test_help_lists_only_what_works_and_imports_nothing_heavy(drift_command):
    done = drift_command("--help")
    assert done.returncode == 0
    for command in ("score", "report", "compare", "calibrate"):
        assert f"    {command}" in done.stdout
    code = (
        "import sys, drift.cli.main; drift.cli.main.build_parser(); "
        "print([m for m in ('torch', 'pandas', 'pyarrow', 'av', 'cv2') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    seen = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    assert seen.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [["--help"], ["score", "--help"], ["report", "--help"]])
def test_help_is_fast(drift_command, command):
    """In processor time, which is the wall's on an idle machine."""
    times = []
    for _ in range(3):
        before = processor_seconds()
        assert drift_command(*command).returncode == 0
        times.append(processor_seconds() - before)
    assert min(times) < 0.5


def processor_seconds():
    """Of the processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize(
    ("sign", "workers"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 2)]
)
def test_interrupt_leaves_whole_files_and_exit_130(make_video, pan, tmp_path, sign, workers):
    (tmp_path / "v").mkdir()
    source = make_video(tmp_path / "v" / "000.mp4", pan("coffee", 60), "libx264").read_bytes()
    for index in range(1, 300):
        # Trailing bytes change the hash, not the video: each is decoded.
        (tmp_path / "v" / f"{index:03}.mp4").write_bytes(source + index.to_bytes(8, "big"))
    command = [sys.executable, "-m", "drift", "score", str(tmp_path / "v")]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "run"), "--workers", str(workers)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stderr is not None
    assert "[1/300]" in process.stderr.readline()
    process.send_signal(sign)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    assert "run the same command again to go on" in rest
    records = list((tmp_path / "run").rglob("*"))
    assert not [path for path in records if ".tmp" in path.name]
    for record in (tmp_path / "run" / "records").iterdir():
        json.loads(record.read_text())
