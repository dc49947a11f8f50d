"""Prompts with the names that a benchmark asks for."""

import json
from pathlib import Path
from typing import Any

import pytest

from baselines.run.prompt_list import read_prompt_list
from hiar.codecs.prompts import video_name
from hiar.errors import UsageError


def write(folder: Path, *rows: Any) -> Path:
    path = folder / "prompts.jsonl"
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("\n".join(lines))
    return path


def row(text: str, *files: str) -> dict[str, Any]:
    return {"generate": text, "files": list(files), "dimensions": ["scene"]}


def test_a_text_file_has_our_names(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("a disc\n\na ring\n")
    first, second = read_prompt_list(path)
    assert (first.text, second.text, second.index) == ("a disc", "a ring", 1)
    assert second.name(3) == video_name("a ring", 1, 3)


def test_a_list_has_its_own(tmp_path: Path) -> None:
    """The video of a longer prompt is called after the short one; dots stay in a name."""
    path = write(tmp_path, row("a disc that is red", "a disc.-0.mp4", "a disc.-1.mp4"))
    [prompt] = read_prompt_list(path)
    assert prompt.text == "a disc that is red"
    assert [prompt.name(0), prompt.name(1)] == ["a disc.-0", "a disc.-1"]
    with pytest.raises(UsageError, match="names 2 videos of 'a disc that is red'"):
        prompt.name(2)


def test_a_line_that_is_there_twice_is_one_prompt(tmp_path: Path) -> None:
    """VBench's 946 prompts hold two that stand on two lines each."""
    twice = row("a disc", "a disc-0.mp4")
    found = read_prompt_list(write(tmp_path, twice, row("a ring", "a ring-0.mp4"), twice))
    assert [(prompt.text, prompt.index) for prompt in found] == [("a disc", 0), ("a ring", 1)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["{"], 'line 1 is no {"generate"'),
        (["[]"], 'line 1 is no {"generate"'),
        ([{"generate": "a"}], 'line 1 is no {"generate"'),
        ([row("a", "a-0.mp4"), row(" ", "b-0.mp4")], "line 2: it needs a prompt"),
        ([row("a")], "line 1: it needs a prompt and at least one file name"),
        ([row("a", "../a-0.mp4")], "'../a-0.mp4' is no plain name"),
        ([row("a", "x/a-0.mp4")], "'x/a-0.mp4' is no plain name"),
        ([row("a", "/a-0.mp4")], "is no plain name"),
        ([row("a", "a-0.avi")], "is no plain name of an mp4"),
        ([row("a", ".mp4")], "is no plain name"),
        ([row("a", "same-0.mp4"), row("b", "same-0.mp4")], "'b' has a video name of 'a'"),
    ],
)
def test_what_is_no_such_list(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        read_prompt_list(write(tmp_path, *rows))
    assert message in str(error.value)
