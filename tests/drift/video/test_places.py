"""What a command line may name: files, folders, patterns, tables of prompts."""

import json
import shutil

import pytest

from drift import UsageError, score_folder
from drift.video.discover import find_videos


@pytest.fixture
def videos(tmp_path, clips):
    """Two folders with two videos each."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name in ("astronaut.mp4", "rocket.mov"):
            shutil.copy(clips / name, tmp_path / folder)
    return tmp_path


def find(*places, **settings):
    return find_videos(places, skip=places[0] / "none", **settings)


def paths(*places, **settings):
    return [video.path for video in find(*places, **settings).videos]


def test_files_are_named_as_in_their_folder(videos):
    one, two = videos / "a" / "astronaut.mp4", videos / "a" / "rocket.mov"
    assert paths(one) == ["astronaut.mp4"]
    assert paths(two, one) == ["astronaut.mp4", "rocket.mov"]
    assert paths(one, videos / "b" / "astronaut.mp4") == ["a/astronaut.mp4", "b/astronaut.mp4"]


def test_files_and_folders_mix(videos):
    found = paths(videos / "a" / "astronaut.mp4", videos / "b")
    assert found == ["a/astronaut.mp4", "b/astronaut.mp4", "b/rocket.mov"]


def test_patterns_that_no_shell_expanded(videos):
    assert paths(videos / "*" / "*.mp4") == ["a/astronaut.mp4", "b/astronaut.mp4"]
    assert paths(videos / "**" / "*.mov") == ["a/rocket.mov", "b/rocket.mov"]
    assert len(paths(videos / "[ab]")) == 4
    with pytest.raises(UsageError, match=r"\*\.mkv: matches nothing"):
        find(videos / "a" / "*.mkv")
    (videos / "a" / "rocket.mov").rename(videos / "a" / "what[1].mov")
    assert paths(videos / "a" / "what[1].mov") == ["what[1].mov"]


def test_a_video_named_twice_is_refused(videos):
    video = videos / "a" / "astronaut.mp4"
    for places in ((video, video), (video, videos / "a"), (videos / "a", videos / "a")):
        with pytest.raises(UsageError, match="given twice"):
            find(*places)


def test_what_is_named_but_no_video_is_said(videos):
    (videos / "a" / "notes.txt").write_text("no video")
    (videos / "a" / "rocket.json").write_text('{"prompt": "a rocket"}')
    named = sorted((videos / "a").iterdir())  # as a shell expands a/*
    found = find(*named)
    assert [video.path for video in found.videos] == ["astronaut.mp4", "rocket.mov"]
    assert found.passed_over == 1
    assert [line.split(":")[0] for line in found.warnings] == ["notes.txt"]
    assert find(videos / "a" / "*").warnings == ()
    with pytest.raises(UsageError, match="no video"):
        find(videos / "a" / "notes.txt")


def test_the_command_takes_files(videos, command):
    place = videos / "a" / "rocket.mov"
    code, text, _ = command("score", place, videos / "b" / "*.mp4", "--out", videos / "run")
    assert code == 0
    assert "2 of 2 videos" in text


def write_prompts(path, *rows):
    path.write_text("file,prompt\n" + "".join(f"{file},{prompt}\n" for file, prompt in rows))
    return path


def prompts(*places, **settings):
    return {video.path: video.prompt for video in find(*places, **settings).videos}


def test_prompts_lie_beside_the_videos(videos):
    write_prompts(videos / "a" / "prompts.csv", ("astronaut", "a person"), ("rocket.mov", "fire"))
    found = find(videos / "a")
    assert [video.prompt for video in found.videos] == ["a person", "fire"]
    assert (found.passed_over, found.warnings) == (0, ())
    assert prompts(videos, recursive=True) == {
        "a/astronaut.mp4": "a person",
        "a/rocket.mov": "fire",
        "b/astronaut.mp4": "",
        "b/rocket.mov": "",
    }
    write_prompts(videos / "prompts.csv", ("b/rocket", "smoke"), ("astronaut.mp4", "someone"))
    assert prompts(videos, recursive=True)["b/rocket.mov"] == "smoke"
    assert prompts(videos, recursive=True)["b/astronaut.mp4"] == "someone"


def test_a_given_table_names_videos_as_results_do(videos):
    table = write_prompts(
        videos / "table.csv", ("a/astronaut.mp4", "a person"), ("astronaut", "x"), ("gone", "y")
    )
    found = find(videos / "a", videos / "b", prompts=table)
    assert [video.prompt for video in found.videos] == ["a person", "", "x", ""]
    assert len(found.warnings) == 2
    assert any("1 row of table.csv name no video, such as gone" in w for w in found.warnings)
    assert any(w.startswith("2 without a row") for w in found.warnings)


def test_a_table_goes_before_a_sidecar_and_a_difference_is_said(videos):
    (videos / "a" / "rocket.json").write_text('{"prompt": "one"}')
    write_prompts(videos / "a" / "prompts.csv", ("rocket", "two"))
    found = find(videos / "a", glob="rocket*")
    assert [video.prompt for video in found.videos] == ["two"]
    assert [line.split(":")[0] for line in found.warnings] == ["rocket.mov"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"name,prompt\nx,y\n", "has no column file"),
        (b"file,prompt\nx,y\nx,z\n", "gives x two prompts"),
        (b"file,prompt\nx,\xff\n", "no table of file and prompt in UTF-8"),
        (b"", "has no column file"),
    ],
)
def test_a_table_that_cannot_be_used(videos, data, words):
    (videos / "a" / "prompts.csv").write_bytes(data)
    with pytest.raises(UsageError, match=words):
        find(videos / "a", prompts=videos / "a" / "prompts.csv")
    (line,) = find(videos / "a").warnings  # nobody asked for the one that lies there
    assert "prompts.csv is not used" in line


def test_runs_get_their_prompts_later_without_decoding(videos, command, monkeypatch):
    runs = [videos / "run-a", videos / "run-b"]
    for place, run in zip(("a", "b"), runs, strict=True):
        score_folder(videos / place, out=run, progress=None)
    code, _, error = command("compare", *runs)
    assert (code, error.count("\n")) == (2, 1)
    assert "--pair-by name" in error
    assert "--prompts FILE" in error
    assert command("compare", *runs, "--pair-by", "name")[0] == 0
    table = write_prompts(videos / "t.csv", ("astronaut", "a person"), ("rocket", "fire"))
    monkeypatch.setattr("drift.run.measure.open_video", None)
    for place, run in zip(("a", "b"), runs, strict=True):
        arguments = ("--prompts", table, "--out", run, "--workers", 1)
        assert command("score", videos / place, *arguments)[0] == 0
    code, text, _ = command("compare", *runs, "--json")
    assert code == 0
    assert (json.loads(text)["pair_by"], json.loads(text)["prompts"]) == ("prompt", 2)
