"""Runs that are disturbed: killed, out of disk, or over a folder that changes meanwhile."""

import dataclasses
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from killed import leave_behind, writing

from drift import StorageError, score_folder
from drift.files import HOST, remove_leftovers
from drift.metrics.registry import METRICS
from drift.score.config import ScoreConfig

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def many(make_video, pan, tmp_path_factory) -> Path:
    """A hundred contents: trailing bytes change the hash, not the video."""
    folder = tmp_path_factory.mktemp("many")
    source = make_video(folder / "000.mp4", pan("coffee", 12, 48, 64)).read_bytes()
    for index in range(1, 100):
        (folder / f"{index:03}{tail(index)}.mp4").write_bytes(source + index.to_bytes(8, "big"))
    return folder


@pytest.fixture(scope="module")
def unbroken(many, tmp_path_factory) -> Path:
    return score_folder(many, out=tmp_path_factory.mktemp("unbroken"), progress=None).out


def tail(index: int) -> str:
    """Long names from the tenth on: their progress lines fill a small pipe."""
    return "-" + "long" * 40 if index > 9 else ""


def start(folder: Path, out: Path, workers: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "drift", "score", str(folder)),
            *("--out", str(out), "--workers", str(workers)),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=ENVIRONMENT,
        pipesize=4096,  # a process whose lines nobody reads stops, and cannot finish too early
    )


def read(run: Path) -> bytes:
    return (run / "videos.csv").read_bytes()


def children(pid: int) -> list[int]:
    """Processes whose parent this is. Source: proc(5), field 4 of stat."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_and_started_again_equals_unbroken(many, unbroken, tmp_path, workers):
    process = start(many, tmp_path / "killed", workers)
    assert process.stderr is not None
    for _ in range(5):
        process.stderr.readline()
    offspring = children(process.pid)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(offspring) >= workers * (workers > 1)
    deadline = time.monotonic() + 30
    while any(map(alive, offspring)):  # no worker outlives its parent
        assert time.monotonic() < deadline, offspring
        time.sleep(0.1)
    kept = len(list((tmp_path / "killed" / "records").glob("[0-9a-f]*.json")))
    assert 5 <= kept < 100
    assert not (tmp_path / "killed" / "videos.csv").exists()
    again = start(many, tmp_path / "killed", workers)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert said.count("kept from before") == kept
    assert read(tmp_path / "killed") == read(unbroken)


def test_what_a_killed_process_left_is_removed_by_the_next_run(many, tmp_path):
    """SIGKILL leaves half a file; one that a live process is writing is let alone."""
    folder, run = tmp_path / "v", tmp_path / "run"
    folder.mkdir()
    shutil.copy(many / "000.mp4", folder)
    left = [leave_behind("drift.files", run / name) for name in ("videos.csv", "records/a.json")]
    with writing("drift.files", run / "summary.json") as alive:
        score_folder(folder, out=run, progress=None)
        assert alive.exists()
    assert not any(path.exists() for path in left)
    remove_leftovers(run)
    assert not alive.exists()


def test_what_another_host_began_is_let_alone(tmp_path):
    """Its locks may not reach us: a dead writer and a live one look the same from here."""
    left = leave_behind("drift.files", tmp_path / "videos.csv")
    other = left.rename(tmp_path / left.name.replace(HOST, "0123abcd"))
    remove_leftovers(tmp_path)
    assert other.exists()


def test_a_video_that_vanishes_fails_alone(many, tmp_path, monkeypatch):
    folder = tmp_path / "v"
    folder.mkdir()
    for name in ("000.mp4", "001.mp4", "002.mp4"):
        shutil.copy(many / name, folder)
    from drift.video.discover import find_videos

    def find_and_lose(*arguments, **settings):
        found = find_videos(*arguments, **settings)
        (folder / "001.mp4").unlink()
        (folder / "003.mp4").write_bytes(b"too late to be seen")
        return found

    monkeypatch.setattr("drift.run.score_folder.find_videos", find_and_lose)
    result = score_folder(folder, out=tmp_path / "run", progress=None)
    assert result.failed == [
        {"path": "001.mp4", "status": "unreadable", "reason": "No such file or directory"}
    ]
    assert [video.path for video in result.videos] == ["000.mp4", "002.mp4"]


@pytest.mark.parametrize("change", ["grow", "replace", "remove"])
def test_a_video_that_changes_while_it_is_measured_fails_alone(many, tmp_path, monkeypatch, change):
    from drift.run.measure import open_video

    folder = tmp_path / "v"
    folder.mkdir()
    for name in ("000.mp4", "001.mp4"):
        shutil.copy(many / name, folder)
    opened = []

    def open_and_change(path):
        if path.name == "001.mp4":
            opened.append(path)
            if change == "grow":
                with path.open("ab") as file:
                    file.write(b"more")
            elif change == "replace":
                shutil.copy(many / "005.mp4", folder / "new")
                (folder / "new").replace(path)
            else:
                path.unlink()
        return open_video(path)

    monkeypatch.setattr("drift.run.measure.open_video", open_and_change)
    result = score_folder(folder, out=tmp_path / "run", progress=None)
    assert opened
    reason = "the file changed while it was measured; score it again"
    assert result.failed == [{"path": "001.mp4", "status": "unreadable", "reason": reason}]
    assert len(list((tmp_path / "run" / "records").iterdir())) == 1  # nothing under a wrong hash
    monkeypatch.undo()
    if change != "remove":
        assert score_folder(folder, out=tmp_path / "run", progress=None).failed == []


def test_videos_that_arrive_meanwhile_do_no_harm(many, tmp_path):
    folder = tmp_path / "v"
    folder.mkdir()
    for name in ("000.mp4", "001.mp4"):
        shutil.copy(many / name, folder)
    stop = threading.Event()

    def write() -> None:
        for path in sorted(many.iterdir())[2:]:
            if stop.is_set():
                return
            shutil.copy(path, folder)

    writer = threading.Thread(target=write)
    writer.start()
    result = score_folder(folder, out=tmp_path / "run", progress=None)
    stop.set()
    writer.join()
    assert {"000.mp4", "001.mp4"} <= {video.path for video in result.videos}
    changed = "the file changed while it was measured; score it again"
    assert all(row["reason"] == changed or row["status"] == "empty" for row in result.failed)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 kB, mounted where this test may."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not allow mounts")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_said_and_nothing_is_lost(many, unbroken, small_disk, drift_command):
    run = small_disk / "run"
    full = drift_command("score", many, "--out", run, "--workers", 1)
    assert full.returncode == 2
    last = full.stderr.splitlines()[-1]
    assert last.startswith(f"drift: {run}")
    assert "No space left on device; make room and give the same command again" in last
    assert "Traceback" not in full.stderr
    assert not [path for path in run.rglob("*") if ".tmp" in path.name]
    kept = len(list((run / "records").iterdir()))
    assert kept > 0
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    again = drift_command("score", many, "--out", run, "--workers", 1)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("kept from before") == kept
    assert read(run) == read(unbroken)


def test_a_full_disk_keeps_the_last_report(many, tmp_path, monkeypatch):
    """Where nothing can be mounted: every write fails as on a full disk."""
    result = score_folder(many, out=tmp_path, glob="00[0-2]*", progress=None)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    def no_space(self, *_arguments, **_settings):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", no_space)
    with pytest.raises(StorageError, match="make room"):
        score_folder(many, out=tmp_path, glob="00[0-5]*", progress=None)
    assert {path: path.read_bytes() for path in before} == before
    assert result.drift_score is not None


def test_another_version_of_a_metric_is_said_and_measured_again(many, tmp_path, monkeypatch):
    folder = tmp_path / "v"
    folder.mkdir()
    shutil.copy(many / "000.mp4", folder)
    config = ScoreConfig(metrics=("saturation", "brightness"))
    said = io.StringIO()
    score_folder(folder, out=tmp_path / "run", config=config, progress=said)
    newer = dataclasses.replace(METRICS["saturation"], version=METRICS["saturation"].version + 1)
    monkeypatch.setitem(METRICS, "saturation", newer)
    again = io.StringIO()
    result = score_folder(folder, out=tmp_path / "run", config=config, progress=again)
    lines = again.getvalue().splitlines()
    assert sum("saturation" in line and "version" in line for line in lines) == 1
    assert "brightness" not in again.getvalue()
    assert "kept from before" not in again.getvalue()
    assert result.summary["metrics"]["saturation"]["version"] == newer.version
