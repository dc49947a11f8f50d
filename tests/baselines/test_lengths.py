"""Seconds to a supported length, never to another."""

import pytest

from baselines.lengths import UnsupportedLengthError, find_length, format_lengths, nominal_s
from baselines.registry import MODELS, find_model
from baselines.spec import ModelSpec


@pytest.mark.parametrize(
    ("key", "seconds", "num_frames"),
    [
        ("hiar", 5, 81),
        ("hiar", 20, 321),
        ("hiar", 20.0625, 321),
        ("magi-1-4.5b", 20, 480),
        ("skyreels-v2-1.3b", 20, 481),
        ("skyreels-v2-1.3b", 4, 97),
        ("nova", 2.75, 33),
        ("longlive", 60, 957),
    ],
)
def test_seconds_find_their_length(key: str, seconds: float, num_frames: int) -> None:
    assert find_length(find_model(key), seconds).num_frames == num_frames


@pytest.mark.parametrize(
    ("key", "seconds"),
    [
        ("wan2.1-1.3b", 20),
        ("ltx-video", 20),
        ("nova", 20),
        ("nova", 5),
        ("pyramid-flow", 10),
        ("hiar", 19.8),
        ("hiar", 0),
        ("hiar", -5),
        ("hiar", float("nan")),
        ("hiar", float("inf")),
    ],
)
def test_other_lengths_are_not_supported(key: str, seconds: float) -> None:
    with pytest.raises(UnsupportedLengthError, match=f"not supported: {key} does not make"):
        find_length(find_model(key), seconds)


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.key)
def test_without_seconds_it_is_the_papers_length(spec: ModelSpec) -> None:
    """20 s for whoever reaches it, 5 s for bidirectional models, else the longest there is."""
    seconds = find_length(spec).num_frames / spec.fps
    if spec.reaches_20_s:
        assert 20 <= seconds <= 20.2
    elif spec.kind == "bidirectional":
        assert 5 <= seconds <= 5.2
    else:
        assert seconds == spec.longest_s


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.key)
def test_what_is_listed_can_be_asked_for(spec: ModelSpec) -> None:
    listed = [float(word) for word in format_lengths(spec).split(", ")]
    assert [find_length(spec, seconds) for seconds in listed] == list(spec.lengths)
    assert [nominal_s(length, spec.fps) for length in spec.lengths] == listed
