import json
from pathlib import Path

import pytest

from eval.protocol.own_list import read_own_list
from reports.cli.gather import main
from reports.records.video_records import read_sidecars


def make_video(folder: Path, index: int, seed: int, schema: str = "hiar-sample/1") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{index:04d}.mp4"
    path.write_bytes(b"video %d %d" % (index, seed))
    sidecar = {
        "schema": schema, "video": path.name, "prompt": "p", "prompt_index": index,
        "sample_index": 0, "seed": seed, "num_frames": 5, "fps": 16, "model": {},
    }  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    return path


def gather(tmp_path: Path, names: str, *options: str) -> int:
    (tmp_path / "names.txt").write_text(names, encoding="utf-8")
    return main([
        str(tmp_path / "in"), "--names", str(tmp_path / "names.txt"),
        "--out", str(tmp_path / "out"), "--listing", str(tmp_path / "listing.txt"), *options,
    ])  # fmt: skip


def test_videos_of_many_jobs_get_the_names_that_vbench_looks_for(tmp_path: Path) -> None:
    for seed, place in ((3, "s3-p0000"), (7, "s7-p0000")):
        make_video(tmp_path / "in" / place, 0, seed)
        make_video(tmp_path / "in" / place, 1, seed, "baselines-video/1")
        make_video(tmp_path / "in" / place, 2, seed)
    # The third line is the first again, as two of VBench's are: the first one's videos serve.
    assert gather(tmp_path, "a cat\nrock-carved façades\na cat\n") == 0
    found = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert found == {
        "a cat-0.mp4": b"video 0 3", "a cat-1.mp4": b"video 0 7",
        "rock-carved façades-0.mp4": b"video 1 3", "rock-carved façades-1.mp4": b"video 1 7",
    }  # fmt: skip
    listing = (tmp_path / "listing.txt").read_text()
    make_video(tmp_path / "in/s3-p0000", 0, 3, "baselines-video/1")
    assert gather(tmp_path, "a cat\nrock-carved façades\na cat\n") == 0
    assert (tmp_path / "listing.txt").read_text() != listing  # a remade video shows


def test_own_prompts_are_numbered_as_a_list_of_them_is(tmp_path: Path) -> None:
    for seed in (3, 7):
        make_video(tmp_path / "in" / f"s{seed}", 0, seed)
        make_video(tmp_path / "in" / f"s{seed}", 1, seed)
    prompts = "a cat / a dog, then\nanother\n"  # as no file may be called
    assert gather(tmp_path, prompts, "--numbered") == 0
    found = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    listed = read_own_list(tmp_path / "names.txt", samples=2)
    assert sorted(found) == [video.name for video in listed.videos]
    assert found["0001-0.mp4"] == b"video 1 3"


@pytest.mark.parametrize(
    ("names", "words"),
    [("a cat\n", "prompt 1; the list has 1 names"), ("a/b\nc\n", "has a / or")],
)
def test_what_cannot_be_named_is_one_line(
    names: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_video(tmp_path / "in/x", 0, 0)
    make_video(tmp_path / "in/x", 1, 0)
    assert gather(tmp_path, names) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_video_without_its_json_or_of_another_schema_is_not_taken(tmp_path: Path) -> None:
    make_video(tmp_path / "x", 1, 0)
    make_video(tmp_path / "x", 0, 0).with_suffix(".json").unlink()
    assert [video.prompt_index for video in read_sidecars([tmp_path / "x"])] == [1]
    make_video(tmp_path / "x", 2, 0, "other/1")
    with pytest.raises(ValueError, match="schema is 'other/1'; this version reads"):
        read_sidecars([tmp_path / "x"])
