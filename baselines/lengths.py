"""Finds the supported length that a run asks for; an unsupported one is an error."""

from baselines.spec import Length, ModelSpec
from hiar.errors import UsageError

TOLERANCE_S = 0.2
"""Largest difference of a length from the seconds asked for: 321 frames at 16 fps are 20.06 s."""
PAPER_S = 20.0
"""Section 4.1: all models are sampled to 20 s, bidirectional ones to 5 s."""


class UnsupportedLengthError(UsageError):
    """A length that the model's own code does not support."""


def find_length(spec: ModelSpec, seconds: float | None = None) -> Length:
    """Finds the supported length that has a given number of seconds.

    Args:
        spec: The model.
        seconds: Duration asked for; None takes the longest length up to the paper's 20 s.

    Raises:
        UnsupportedLengthError: No length has this duration; the message names those that exist.
    """
    if seconds is None:
        limit = (PAPER_S + TOLERANCE_S) * spec.fps
        return [length for length in spec.lengths if length.num_frames <= limit][-1]
    for length in spec.lengths:
        if abs(length.num_frames / spec.fps - seconds) <= TOLERANCE_S:
            return length
    raise UnsupportedLengthError(
        f"not supported: {spec.key} does not make {seconds:g} s; its own code makes "
        f"{format_lengths(spec)} s: take one of these, or leave --seconds out"
    )


def format_lengths(spec: ModelSpec) -> str:
    """The lengths in seconds, such as "5, 20"."""
    return ", ".join(f"{nominal_s(length, spec.fps):g}" for length in spec.lengths)


def nominal_s(length: Length, fps: int) -> float:
    """Duration in seconds, rounded to whole seconds if these are within the tolerance."""
    seconds = length.num_frames / fps
    return round(seconds) if abs(seconds - round(seconds)) <= TOLERANCE_S else round(seconds, 2)
