"""Faults of time: which frame of the source each frame of a control shows."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from drift.stats.segments import segment_bounds

Order: TypeAlias = Callable[[int], Sequence[int]]
"""Maps the number of frames of a video to the index of the source frame that each frame shows."""

SEGMENT_ORDER = (3, 0, 2, 4, 1)
"""An order of five segments in which a straight trend has the slope 0."""
LOOPS = 4  # times that the first quarter is shown


def whole(num_frames: int) -> Sequence[int]:
    """Every frame once: the source, encoded again."""
    return range(num_frames)


def frozen(num_frames: int) -> Sequence[int]:
    """The first frame all the time."""
    return [0] * num_frames


def looped(num_frames: int) -> Sequence[int]:
    """The first quarter four times."""
    period = max(1, -(-num_frames // LOOPS))
    return [i % period for i in range(num_frames)]


def reversed_(num_frames: int) -> Sequence[int]:
    """From the last frame to the first."""
    return range(num_frames - 1, -1, -1)


def shuffled(num_frames: int) -> Sequence[int]:
    """Fifths in another order."""
    bounds = segment_bounds(num_frames, len(SEGMENT_ORDER))
    return [i for segment in SEGMENT_ORDER for i in range(*bounds[segment])]


def slowing(num_frames: int, strength: float) -> Sequence[int]:
    """Motion that slows down: from full speed at the start to 1 - strength at the end."""
    last = max(1, num_frames - 1)
    return [round(i - strength * i * i / (2 * last)) for i in range(num_frames)]
