from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from drift.errors import UsageError
from drift.typed_data import checked


@dataclass(frozen=True, kw_only=True)
class Part:
    times_s: tuple[float, ...]
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 0:
            raise UsageError(f"count {self.count} must not be negative")


@dataclass(frozen=True, kw_only=True)
class Whole:
    parts: Mapping[str, Part]
    spare: Part | None = None


def test_data_becomes_objects_and_a_whole_number_will_do_for_a_float() -> None:
    found = checked(Whole, {"parts": {"a": {"times_s": [0, 1.5]}}})
    assert found == Whole(parts={"a": Part(times_s=(0.0, 1.5))})


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({}, "x.parts.a: key 'times_s' is missing"),
        ({"times_s": [], "cuont": 2}, "x.parts.a: unknown key 'cuont'; did you mean 'count'?"),
        ({"time_s": []}, "x.parts.a: unknown key 'time_s'; did you mean 'times_s'?"),
        ({"times_s": [], "other": 2}, "x.parts.a: unknown key 'other'; known: count, times_s"),
        ({"times_s": [], "count": "2"}, "x.parts.a.count is '2'; it should be a valid integer"),
        ({"times_s": [], "count": True}, "x.parts.a.count is True; it should be a valid integer"),
        ({"times_s": [], "count": -1}, "x.parts.a: count -1 must not be negative"),
        ({"times_s": 2.0}, "x.parts.a.times_s is 2.0; it should be a valid array"),
        ({"times_s": [float("nan")]}, "x.parts.a.times_s.0 is nan; it should be a finite number"),
        ("text", "x.parts.a is 'text'; it should be an object"),
    ],
)
def test_what_is_wrong_is_one_line(part: object, words: str) -> None:
    with pytest.raises(UsageError) as error:
        checked(Whole, {"parts": {"a": part}}, "x")
    assert str(error.value).startswith(words)
    assert "\n" not in str(error.value)


def test_an_unknown_key_of_an_optional_part_is_named() -> None:
    with pytest.raises(UsageError, match=r"^spare: unknown key 'cuont'; did you mean 'count'\?"):
        checked(Whole, {"parts": {}, "spare": {"times_s": [], "cuont": 2}})
