"""Samples a video by time, so that videos of different frame rates are measured alike."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import isclose
from typing import Any, TypeVar

T = TypeVar("T")

MAX_FPS = 1000.0
RATE_TOLERANCE = 0.002  # 24000/1001 and 24 are one rate to most people who write sidecars


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
    lines = _told_otherwise(media)
    assumed = [entry["fps"] for entry in media if entry.get("assumed_fps")]
    if assumed:
        lines.append(
            f"nothing tells the frame rate of pictures ({count_videos(len(assumed))}): "
            f"{assumed[0]:g} a second is assumed; give --fps, or fps in a sidecar FOLDER.json"
        )
    if fps is None:
        uneven = sum(1 for entry in media if entry.get("variable_fps"))
        told = f"frames stand for unequal times ({count_videos(uneven)}): --fps samples by time"
        return [*lines, told] if uneven else lines
    slow = sum(1 for entry in media if entry.get("fps") and entry["fps"] < fps)
    told = (
        f"fewer than {fps:g} frames a second ({count_videos(slow)}): frames are repeated, so pairs "
        "of frames look too much alike"
    )
    return [*lines, told] if slow else lines


def _told_otherwise(media: Sequence[Mapping[str, Any]]) -> list[str]:
    """Says where files and their sidecars tell different frame rates."""
    pairs = [(entry.get("fps"), entry.get("sidecar_fps")) for entry in media]
    differ = [
        (own, told)
        for own, told in pairs
        if own and told and not isclose(own, told, rel_tol=RATE_TOLERANCE)
    ]
    if not differ:
        return []
    own, told = differ[0]
    return [
        f"the sidecar tells another frame rate than the file ({count_videos(len(differ))}, such as "
        f"{told:g} and {own:g}): the file's is used, so check which is right"
    ]


def count_videos(count: int) -> str:
    """A number of videos in words."""
    return f"{count} video" + "s" * (count > 1)
