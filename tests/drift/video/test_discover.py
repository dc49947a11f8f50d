"""Finding videos: names that break other tools, links, pipes, and folders of 10 000 files."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from drift import UsageError, score_folder
from drift.video.discover import find_videos, printable

NAMES = (
    "with space.mp4",
    "quote \" and ' and `.mp4",
    "new\nline.mp4",
    "return\rhere.mp4",
    "comma, semicolon; tab\t.mp4",
    "emoji 👩‍🔬🎬.mp4",
    "عربي.mp4",
    "right \u202eto left.mp4",
    "-dash.mp4",
    "=1+1.mp4",
    "percent %s {0}.mp4",
    "back\\slash.mp4",
    "UPPER.MP4",
)


def names(folder, **settings):
    found = find_videos([folder], skip=folder / "run", **settings)
    return [video.path for video in found.videos]


def test_awkward_names_come_through_every_file(clips, tmp_path, drift_command):
    (tmp_path / "v").mkdir()
    for index, name in enumerate(NAMES):
        whole = (clips / "astronaut.mp4").read_bytes()
        (tmp_path / "v" / name).write_bytes(whole + bytes([index]))
    (tmp_path / "v" / "broken \x1b[31m\n.mp4").write_bytes(b"no video")
    done = drift_command("score", tmp_path / "v", "--out", tmp_path / "run", "--workers", 1)
    assert done.returncode == 1
    assert "drift: broken \\x1b[31m\\n.mp4: unreadable: " in done.stderr
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == len(NAMES) + 1 + 1  # progress, failure
    table = pd.read_csv(tmp_path / "run" / "videos.csv", keep_default_na=False)
    assert set(NAMES) < set(table.path)
    frames = pd.read_parquet(tmp_path / "run" / "frames.parquet")
    assert set(frames.video) == set(NAMES)
    again = drift_command("report", tmp_path / "run", "--json")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert json.loads(again.stdout) == summary


def test_names_and_prompts_that_are_no_unicode(clips, tmp_path):
    (tmp_path / "v").mkdir()
    odd = os.fsencode(tmp_path / "v") + b"/odd \xff\xfe.mp4"
    try:
        shutil.copy(clips / "astronaut.mp4", odd)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    Path(os.fsdecode(odd)).with_suffix(".json").write_text('{"prompt": "half \\ud83d emoji"}')
    result = score_folder(tmp_path / "v", out=tmp_path / "run", progress=None)
    assert [video.path for video in result.videos] == ["odd \\udcff\\udcfe.mp4"]
    table = pd.read_csv(tmp_path / "run" / "videos.csv")
    assert list(table.prompt) == ["half \\ud83d emoji"]


def test_links(clips, tmp_path):
    folder = tmp_path / "v"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(clips / "astronaut.mp4", folder / "deep" / "real.mp4")
    (folder / "good.mp4").symlink_to(folder / "deep" / "real.mp4")
    (folder / "nowhere.mp4").symlink_to(folder / "gone.mp4")
    (folder / "itself.mp4").symlink_to(folder / "itself.mp4")
    (folder / "up").symlink_to(folder)
    (folder / "deep" / "loop").symlink_to(folder, target_is_directory=True)
    flat = ["good.mp4", "itself.mp4", "nowhere.mp4"]
    assert names(folder) == flat
    assert names(folder, recursive=True) == ["deep/real.mp4", *flat]
    result = score_folder(folder, out=tmp_path / "run", recursive=True, progress=None)
    reasons = {row["path"]: (row["status"], row["reason"]) for row in result.failed}
    assert reasons == {
        "itself.mp4": ("unreadable", "Too many levels of symbolic links"),
        "nowhere.mp4": ("unreadable", "No such file or directory"),
    }
    # The link and its target have one content: decoded once, scored twice.
    assert len(list((tmp_path / "run" / "records").iterdir())) == 1
    assert len({video.score for video in result.videos}) == 1


def test_what_is_no_file_is_named(clips, tmp_path):
    folder = tmp_path / "v"
    (folder / "folder.mp4").mkdir(parents=True)
    os.mkfifo(folder / "pipe.mp4")  # opening it would wait for ever
    os.mkfifo(folder / "pipe.json")
    shutil.copy(clips / "astronaut.mp4", folder / "folder.mp4" / "inside.mp4")
    shutil.copy(clips / "astronaut.mp4", folder / "good.mp4")
    (folder / "good.json").mkdir()
    result = score_folder(folder, out=tmp_path / "run", progress=None)
    assert {row["path"]: row["reason"] for row in result.failed} == {
        "folder.mp4": "a folder, not a file",
        "pipe.mp4": "a pipe, socket or device, not a file",
    }
    assert [video.path for video in result.videos] == ["good.mp4"]
    assert any("good.mp4: its sidecar is no file" in w for w in result.summary["warnings"])
    assert "folder.mp4/inside.mp4" in names(folder, recursive=True)


def test_ten_thousand_entries_are_found_fast(tmp_path):
    folder = tmp_path / "v"
    folder.mkdir()
    for index in range(2500):
        for suffix in ("mp4", "json", "txt", "png"):
            (folder / f"{index:05}.{suffix}").write_bytes(b"{}" if suffix == "json" else b"")
    start = time.process_time()
    found = find_videos([folder], skip=tmp_path / "run")
    seconds = time.process_time() - start
    assert len(found.videos) == 2500
    assert found.passed_over == 5000
    assert [video.path for video in found.videos] == sorted(video.path for video in found.videos)
    assert seconds < 2


def test_a_folder_that_cannot_be_read_is_no_silent_loss(clips, tmp_path):
    """As a user who is not root, in a process of its own, where this test runs as root."""
    folder = tmp_path / "v"
    (folder / "closed").mkdir(parents=True)
    for name in ("good.mp4", "closed.mp4", "closed/x.mp4"):
        shutil.copy(clips / "astronaut.mp4", folder / name)
    (folder / "closed.mp4").chmod(0)
    (folder / "closed").chmod(0)
    root = os.geteuid() == 0
    if root and shutil.which("setpriv") is None:
        pytest.skip("root reads everything, and there is no setpriv to become another user")
    for path in (tmp_path, *tmp_path.parents):
        if not os.access(path, os.X_OK) or (root and not path.stat().st_mode & 1):
            path.chmod(path.stat().st_mode | 0o011)
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if root else []
    code = "import sys; from drift.cli.main import main; sys.exit(main(sys.argv[1:]))"
    (tmp_path / "out").mkdir(mode=0o777)
    (tmp_path / "out").chmod(0o777)

    def run(*arguments):
        return subprocess.run(
            [*become, sys.executable, "-c", code, "score", folder, "--workers", "1", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path / "out",
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "HOME": "/"},
        )

    flat = run("--out", tmp_path / "out" / "a")
    if flat.returncode not in {0, 1, 2} or "Permission denied" not in flat.stderr:
        pytest.skip(f"another user cannot run Python here: {flat.stderr[-200:]}")
    assert flat.returncode == 1
    assert "closed.mp4: unreadable: Permission denied" in flat.stderr
    assert "1 of 2 videos" in flat.stdout
    deep = run("--out", tmp_path / "out" / "b", "--recursive")
    assert deep.returncode == 2
    assert f"{folder / 'closed'}: Permission denied; make it readable" in deep.stderr
    assert deep.stderr.count("\n") == 1
    (folder / "closed").chmod(0o755)


def test_a_sidecar_nested_too_deeply_is_a_warning(clips, tmp_path):
    shutil.copy(clips / "astronaut.mp4", tmp_path / "x.mp4")
    (tmp_path / "x.json").write_text("[" * 100_000)
    assert "is not JSON" in find_videos([tmp_path], skip=tmp_path / "run").warnings[0]


def test_wrong_folder_is_named(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        find_videos([tmp_path / "none"], skip=tmp_path)


def test_printable_keeps_what_people_write():
    assert printable("emoji 👩‍🔬 عربي é 日本") == "emoji 👩‍🔬 عربي é 日本"
    assert printable("a\nb\x1b[2J\u202e") == "a\\nb\\x1b[2J\\u202e"
