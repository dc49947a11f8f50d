"""Lists of own videos: what a CSV may say, and what a folder must then hold."""

from collections import Counter
from pathlib import Path

import pytest

from drift.errors import UsageError
from eval.protocol.layout import check_listed
from eval.protocol.own_list import read_own_list


@pytest.fixture
def write(tmp_path: Path):
    def write_list(text: str, name: str = "prompts.csv") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_list


def test_named_videos_keep_their_names(write) -> None:
    path = write('seed,video,prompt\n1,b.mp4,"a cat, asleep"\n2,a.mp4,"a cat, asleep"\n')
    found = read_own_list(path, samples=5)
    assert [(v.name, v.prompt) for v in found.videos] == [
        ("b.mp4", "a cat, asleep"),
        ("a.mp4", "a cat, asleep"),
    ]


def test_a_prompt_names_no_file(write) -> None:
    found = read_own_list(write("prompt\n../../etc/passwd\na dog\n"), samples=2)
    assert [v.name for v in found.videos] == [
        "0000-0.mp4", "0000-1.mp4", "0001-0.mp4", "0001-1.mp4",
    ]  # fmt: skip
    same = read_own_list(write("../../etc/passwd\na dog\n", "prompts.txt"), samples=2)
    assert same == found
    assert same.sha256 == found.sha256
    assert read_own_list(write("prompt\na dog\n"), samples=2).sha256 != found.sha256


REFUSED = {
    "no column": "text\na cat\n",
    "no row": "prompt\n",
    "nothing": "",
    "a NaN": "prompt\na cat\nNaN\n",
    "an empty cell": "video,prompt\na.mp4,\n",
    "a short row": "video,prompt\na.mp4\n",
    "a path up": "video,prompt\n../a.mp4,a cat\n",
    "a path down": "video,prompt\nsub/a.mp4,a cat\n",
    "an absolute path": "video,prompt\n/tmp/a.mp4,a cat\n",
    "a path of Windows": "video,prompt\n..\\a.mp4,a cat\n",
    "a hidden file": "video,prompt\n.a.mp4,a cat\n",
    "no video": "video,prompt\na.txt,a cat\n",
    "a video twice": "video,prompt\na.mp4,a cat\na.mp4,a dog\n",
    "a video in two cases": "video,prompt\na.mp4,a cat\nA.mp4,a dog\n",
    "a prompt twice": "prompt\na cat\na cat\n",
    "an open quote": 'prompt\n"a cat\n',
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_bad_list_ends_in_one_line(write, vbench, tmp_path, text: str) -> None:
    (tmp_path / "videos").mkdir()
    code, out, err = vbench("layout", tmp_path / "videos", "--custom", write(text))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_a_suite_protocol_takes_no_list(write, vbench, tmp_path) -> None:
    listed = write("prompt\na cat\n")
    code, _, err = vbench("layout", tmp_path, "--custom", listed, "--protocol", "vbench-long")
    assert (code, err.count("\n")) == (2, 1)
    assert "vbench-long-custom" in err


def test_what_the_list_does_not_name_is_stale(write, make_folder) -> None:
    folder = make_folder(["a cat", "a dog"])
    own_list = read_own_list(write("video,prompt\na cat-0.mp4,a cat\na cow-0.mp4,a cow\n"), 1)
    (folder / "notes.txt").write_text("")
    layout = check_listed(folder, own_list, ["temporal_flickering"])
    assert Counter(problem.kind for problem in layout.problems) == {"missing": 1, "stale": 3}
    assert layout.failed == ("a cow-0.mp4",)
    assert layout.expected == 2
    assert [video.name for video in layout.files] == ["a cat-0.mp4"]
    assert layout.passed_over == ("notes.txt",)


def test_an_unreadable_video_is_not_measured(write, make_folder) -> None:
    folder = make_folder(["a cat"])
    (folder / "a cat-1.mp4").write_bytes(b"no video")
    own_list = read_own_list(write("video,prompt\na cat-0.mp4,x\na cat-1.mp4,x\n"), 1)
    layout = check_listed(folder, own_list, ["temporal_flickering"])
    assert layout.failed == ("a cat-1.mp4",)
    assert [v.name for v in layout.videos["temporal_flickering"]] == ["a cat-0.mp4"]


def test_a_folder_without_any_of_them(write, make_folder) -> None:
    own_list = read_own_list(write("prompt\na cat\n"), 1)
    with pytest.raises(UsageError, match=r"0000-0\.mp4"):
        check_listed(make_folder(["a dog"]), own_list, ["temporal_flickering"])
