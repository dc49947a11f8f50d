"""Samples a video by time, so that videos of different frame rates are measured alike."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeVar

T = TypeVar("T")

MAX_FPS = 1000.0


def as_rate(fps: float) -> Fraction:
    """The frame rate as an exact fraction: 29.97 becomes 2997/100, not the nearest float."""
    return Fraction(str(fps))


def nearest_in_time(timed: Iterable[tuple[Fraction, T]], rate: Fraction) -> Iterator[T]:
    """Yields the item nearest in time to each of t_0, t_0 + 1/rate, t_0 + 2/rate, ...

    Of two equally near items the earlier is taken. The last item lasts as long as the one before
    it, so n items at R a second give about n * rate / R. Items are repeated or left out as the rate
    requires; one item is held at a time.

    Args:
        timed: Times in seconds and items; a time before that of the previous item counts as equal
            to it.
        rate: Number of items a second, > 0.

    Yields:
        Items in time order; at least one if there is any.
    """
    iterator = iter(timed)
    first = next(iterator, None)
    if first is None:
        return
    (start, held), gap, taken = first, Fraction(0), 0
    now = start
    for time, item in iterator:
        gap = max(time - now, Fraction(0))
        while start + taken / rate <= now + gap / 2:
            yield held
            taken += 1
        now, held = now + gap, item
    while start + taken / rate <= now + gap / 2:
        yield held
        taken += 1


def rate_warnings(media: Sequence[Mapping[str, Any]], fps: float | None) -> list[str]:
    """Warnings about frame rates that affect the values.

    Args:
        media: Fields of each video's `MediaInfo`.
        fps: Rate at which the videos were sampled; None if every frame was measured.

    Returns:
        Lines to show to the user.
    """
    if fps is None:
        uneven = sum(1 for entry in media if entry.get("variable_fps"))
        lines = [f"frames stand for unequal times ({_videos(uneven)}): --fps samples by time"]
        return lines if uneven else []
    slow = sum(1 for entry in media if entry.get("fps") and entry["fps"] < fps)
    lines = [
        f"fewer than {fps:g} frames a second ({_videos(slow)}): frames are repeated, so pairs of "
        "frames look too much alike"
    ]
    return lines if slow else []


def _videos(count: int) -> str:
    return f"{count} video" + "s" * (count > 1)
