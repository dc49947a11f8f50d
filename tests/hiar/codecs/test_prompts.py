import codecs
import re
from argparse import ArgumentTypeError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiar.codecs.prompts import numbered, prompt_range, read_prompts, video_name
from hiar.errors import UsageError

HARD = [
    'a "quoted" cat\'s `tail`',
    "a/b\\c:d*e?f<g>h|i",
    "../../etc/passwd",
    "🐈 on a 🛹",
    "🐈🐈🐈",
    "x" * 2000,
    "the same beginning of two prompts that part late: a dog",
    "the same beginning of two prompts that part late: a cat",
    "twice",
    "twice",
    "كلب يركض في الحديقة",
    "\u202eright to left\u202c",
    "nul \0 and \x01\x1b[31m control\x7f",
    "CON",
    "nul.txt",
    "...",
    "-rf",
    "É" * 300,
    "\ud83d lone surrogate",
    "",
]


def test_names_are_unique_and_portable() -> None:
    names = [
        video_name(prompt, index, sample) for index, prompt in enumerate(HARD) for sample in (0, 1)
    ]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*[a-z0-9]", name), name
        assert len(name) <= 100
        assert not re.fullmatch(r"con|prn|aux|nul|com\d|lpt\d", name)


@given(st.text(), st.text(), st.integers(0, 10**6), st.integers(0, 99))
def test_any_text_has_a_portable_name_of_its_own(
    prompt: str, other: str, index: int, sample: int
) -> None:
    name = video_name(prompt, index, sample)
    assert re.fullmatch(r"[a-z0-9-]{1,100}", name)
    assert (name == video_name(other, index, sample)) == (prompt == other)


def test_names_stay_as_they_are() -> None:
    """A changed name would make every video of an old folder again."""
    # echo -n 'a Red disc' | sha256sum begins with 503e7112; '🐈' with 65607de0
    assert video_name("a Red disc", 7, 2) == "0007-a-red-disc-503e7112-s2"
    assert video_name("🐈", 0, 0) == "0000-65607de0-s0"


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        b"a cat\na dog\n",
        b"a cat\na dog",
        codecs.BOM_UTF8 + b"a cat\na dog\n",
        b"a cat\r\na dog\r\n",
        b"\n\n  a cat \t\n   \n\na dog\n\n",
    ],
)
def test_a_prompt_a_line(tmp_path: Path, data: bytes) -> None:
    assert read_prompts(write(tmp_path / "prompts.txt", data)) == ["a cat", "a dog"]


def test_prompts_are_kept_as_written(tmp_path: Path) -> None:
    """Only ends of lines end a prompt: no form feed, no line separator, no quote."""
    prompts = ['a "cat"', "🐈, a\x0cb", "a\u2028b", "twice", "twice", "y" * 2000]
    path = write(tmp_path / "prompts.txt", "\n".join(prompts).encode())
    assert read_prompts(path) == prompts


@pytest.mark.parametrize("data", [b"caf\xe9\n", "a cat\n".encode("utf-16")])
def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UsageError, match=r"prompts\.txt is not UTF-8"):
        read_prompts(write(tmp_path / "prompts.txt", data))


@pytest.mark.parametrize("data", [b"", b"\n \r\n\t\n", codecs.BOM_UTF8])
def test_a_file_without_a_prompt_is_named(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UsageError, match=r"prompts\.txt has no prompt"):
        read_prompts(write(tmp_path / "prompts.txt", data))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no prompt file .*prompts\.txt"):
        read_prompts(tmp_path / "prompts.txt")


def test_a_range_keeps_the_places_in_the_whole_list() -> None:
    assert prompt_range("1:3") == (1, 3)
    assert numbered(["a", "b", "c"], (1, 3)) == [(1, "b"), (2, "c")]
    assert numbered(["a", "b"], None) == [(0, "a"), (1, "b")]


@pytest.mark.parametrize("text", ["", "3", "3:3", "4:2", "-1:2", "a:b", "1:"])
def test_no_range_is_named(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is no range: write A:B, such as 0:20"):
        prompt_range(text)


def test_a_range_past_the_end_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="prompt range 1:3: there are 2 prompts"):
        numbered(["a", "b"], (1, 3))
