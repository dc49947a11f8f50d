"""Resamples a video by time, so that videos of different frame rates are measured alike."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeVar

T = TypeVar("T")

MAX_FPS = 1000.0


def as_rate(fps: float) -> Fraction:
    """The frame rate as an exact fraction: 29.97 is 2997/100, not its nearest float."""
    return Fraction(str(fps))


def nearest_in_time(timed: Iterable[tuple[Fraction, T]], rate: Fraction) -> Iterator[T]:
    """Yields the item nearest in time to each of t_0, t_0 + 1/rate, t_0 + 2/rate, ...

    Of two equally near items the earlier is taken. The last item stands as long as the one before
    it, so n items at R a second give about n * rate / R. An item is repeated or left out as the
    rate asks; one item is held at a time.

    Args:
        timed: Items with their times in seconds; a time before that of the item ahead of it counts
            as equal to it.
        rate: Items a second, > 0.

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
    """What the frame rates of videos mean for their numbers.

    Args:
        media: Fields of `MediaInfo` of each video.
        fps: Rate at which they were sampled; None for every frame.

    Returns:
        Lines for the user.
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
