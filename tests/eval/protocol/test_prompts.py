"""The prompt suite: names of videos, bad prompts, longer versions, lists of one's own."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.errors import UsageError
from eval.protocol.dimensions import DIMENSIONS
from eval.protocol.prompts import (
    FILTERED_SAMPLES,
    NUM_PROMPTS,
    PROMPTS_PER_DIMENSION,
    Prompt,
    case_pairs,
    check_file_name,
    count_differences,
    duplicates,
    extend,
    loose_form,
    read_suite,
)

HOKUSAI, LOWER, UPPER = "waves by Hokusai", "a fantasy landscape", "A fantasy landscape"
ENTRIES = [
    (HOKUSAI, ["appearance_style"]),
    (LOWER, ["scene", "background_consistency"]),
    (HOKUSAI, ["overall_consistency"]),
    (UPPER, ["overall_consistency", "imaging_quality"]),
]


def test_counts_are_those_of_the_blocks() -> None:
    # The suite is eleven blocks, one prompt file each; some serve several dimensions:
    # flickering 75, objects 82, action 100, subject+degree+smoothness 72, class 79, color 85,
    # style 90, temporal style 100, overall+aesthetic+imaging 93, scene+background 86, spatial 84.
    assert NUM_PROMPTS == 75 + 82 + 100 + 72 + 79 + 85 + 90 + 100 + 93 + 86 + 84
    assert list(PROMPTS_PER_DIMENSION) == [dimension.name for dimension in DIMENSIONS]
    assert sum(PROMPTS_PER_DIMENSION.values()) == NUM_PROMPTS + 2 * 72 + 2 * 93 + 86


def test_suite_is_read_in_order(make_suite) -> None:
    suite = read_suite(make_suite(ENTRIES))
    assert [prompt.text for prompt in suite] == [text for text, _ in ENTRIES]
    assert suite[1].dimensions == ("scene", "background_consistency")
    assert suite[1].file_names(2) == ("a fantasy landscape-0.mp4", "a fantasy landscape-1.mp4")
    assert duplicates(suite) == {HOKUSAI: (0, 2)}
    assert case_pairs(suite) == ((UPPER, LOWER),)
    assert "scene: 1 prompts, VBench has 86" in count_differences(suite)


def test_longer_prompts_do_not_change_names(make_suite, tmp_path: Path) -> None:
    suite = read_suite(make_suite(ENTRIES))
    longer = tmp_path / "longer.txt"
    longer.write_text("".join(f"{text}, at dawn\n" for text, _ in ENTRIES))
    extended = extend(suite, longer)
    assert extended[1].generate == "a fantasy landscape, at dawn"
    assert [p.file_names() for p in extended] == [p.file_names() for p in suite]
    longer.write_text("one\ntwo\n")
    with pytest.raises(UsageError, match="2 prompts, the suite 4"):
        extend(suite, longer)
    longer.write_text("one\n\nthree\nfour\n")
    with pytest.raises(UsageError, match="line 2 is empty"):
        extend(suite, longer)


BAD = ["../x", "..", ".", "a/b", "a\\b", "/etc/passwd", "", " ", " a", "a\n", "a\0b", "x" * 250]


@pytest.mark.parametrize("text", BAD)
def test_a_prompt_that_is_no_file_name_is_refused(make_suite, text: str) -> None:
    with pytest.raises(UsageError, match="entry 1"):
        read_suite(make_suite([("a cat", ["scene"]), (text, ["scene"])]))


@pytest.mark.parametrize("text", ["wait... what", "a-b, c's 100%", "rock-carved façades", "雪"])
def test_odd_but_good_prompts(text: str) -> None:
    check_file_name(text, "here")


@given(st.text(max_size=60))
def test_an_accepted_prompt_stays_in_its_folder(tmp_path_factory, text: str) -> None:
    prompt = Prompt(index=0, text=text, dimensions=("scene",), generate=text)
    try:
        check_file_name(text, "here")
    except UsageError:
        return
    for name in prompt.file_names(1):
        assert (Path("/videos") / name).parent == Path("/videos")
        assert not name.startswith(".")


@given(st.text(alphabet="aAbBéÉ́e ", max_size=8))
def test_loose_form_is_stable(text: str) -> None:
    assert loose_form(loose_form(text)) == loose_form(text)
    assert loose_form(text.lower()) == loose_form(loose_form(text).lower())


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", "[1]", '[{"prompt_en": "a"}]', '[{"prompt_en": "a", "dimension": []}]',
     '[{"prompt_en": "a", "dimension": ["colour"]}]', '[{"prompt_en": 1, "dimension": ["color"]}]'],
)  # fmt: skip
def test_broken_suite_is_one_line(tmp_path: Path, vbench, content: str) -> None:
    path = tmp_path / "suite.json"
    path.write_text(content)
    code, out, err = vbench("prompts", "--suite", path)
    assert (code, out) == (2, "")
    assert err.startswith("hiar-vbench: ")
    assert err.count("\n") == 1


def test_command_prints_what_to_generate(make_suite, vbench, tmp_path: Path) -> None:
    suite = make_suite(ENTRIES)
    code, out, err = vbench("prompts", "--suite", suite)
    assert code == 0
    assert out.splitlines() == [text for text, _ in ENTRIES]
    assert "lines 1, 3 are one prompt" in err
    assert "differ in case only" in err
    assert "4 prompts, 15 videos" in err  # the duplicate's five count once
    code, out, _ = vbench(
        "prompts", "--suite", suite, "--dimensions", "scene", "--format", "jsonl", "--samples", 2
    )
    (row,) = map(json.loads, out.splitlines())
    assert row["files"] == ["a fantasy landscape-0.mp4", "a fantasy landscape-1.mp4"]
    out_file = tmp_path / "new" / "prompts.txt"
    assert vbench("prompts", "--suite", suite, "--out", out_file)[0] == 0
    assert out_file.read_text().splitlines() == [text for text, _ in ENTRIES]


def test_command_says_that_flickering_needs_more_samples(make_suite, vbench) -> None:
    suite = make_suite([("a quiet alley", ["temporal_flickering"])])
    few = vbench("prompts", "--suite", suite)[2]
    enough = vbench("prompts", "--suite", suite, "--samples", FILTERED_SAMPLES)[2]
    asked = f"--samples {FILTERED_SAMPLES}"
    assert (few.count(asked), enough.count(asked)) == (1, 0)


def test_jsonl_names_each_file_once(make_suite, vbench, tmp_path: Path) -> None:
    longer = tmp_path / "longer.txt"
    longer.write_text("one\ntwo\nthree\nfour\n")
    suite = make_suite(ENTRIES)
    _, out, _ = vbench("prompts", "--suite", suite, "--extended", longer, "--format", "jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    names = [name for row in rows for name in row["files"]]
    assert len(names) == len(set(names)) == 15
    assert rows[0]["generate"] == "one"  # of line 1; line 3 is the same prompt
    assert rows[0]["dimensions"] == ["appearance_style", "overall_consistency"]


def test_a_list_of_ones_own_is_numbered(vbench, tmp_path: Path) -> None:
    listed = tmp_path / "MovieGenVideoBench_extended.txt"
    listed.write_text("a/b " * 100 + "\nsecond\nthird\n")
    code, out, err = vbench(
        "prompts", "--list", listed, "--first", 2, "--samples", 1, "--format", "jsonl"
    )
    assert code == 0
    assert [json.loads(line)["files"] for line in out.splitlines()] == [
        ["0000-0.mp4"],
        ["0001-0.mp4"],
    ]
    assert "2 prompts, 2 videos" in err
    assert vbench("prompts", "--list", listed, "--dimensions", "scene")[0] == 2


def test_suite_comes_from_the_environment(make_suite, vbench, tmp_path: Path) -> None:
    code, _, err = vbench("prompts", "--env", tmp_path / "env")
    assert code == 2
    assert "hiar-vbench setup" in err
    target = tmp_path / "env/lib/python3.11/site-packages/vbench/VBench_full_info.json"
    target.parent.mkdir(parents=True)
    target.write_bytes(make_suite(ENTRIES).read_bytes())
    code, out, _ = vbench("prompts", "--env", tmp_path / "env")
    assert code == 0
    assert len(out.splitlines()) == 4
