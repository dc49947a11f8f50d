"""Which of a model's lengths a run asks for. A length that it cannot reach is never made up."""

from baselines.spec import Length, ModelSpec
from hiar.errors import UsageError

TOLERANCE_S = 0.2
"""How far a length may be from the seconds asked for: 321 frames at 16 fps are 20.06 s."""
PAPER_S = 20.0
"""Section 4.1: all models are sampled to 20 s, bidirectional ones to 5 s."""


class UnsupportedLengthError(UsageError):
    """A length that the model's own code does not support."""


def find_length(spec: ModelSpec, seconds: float | None = None) -> Length:
    """The supported length of that many seconds.

    Args:
        spec: The model.
        seconds: Asked for; None takes the longest one up to the paper's 20 s.

    Raises:
        UnsupportedLengthError: There is none; the supported ones are named.
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
    """The lengths in seconds, such as "5, 20": whole where they are within the tolerance."""
    return ", ".join(f"{nominal_s(length, spec.fps):g}" for length in spec.lengths)


def nominal_s(length: Length, fps: int) -> float:
    """Duration as one asks for it: whole seconds if they are within the tolerance."""
    seconds = length.num_frames / fps
    return round(seconds) if abs(seconds - round(seconds)) <= TOLERANCE_S else round(seconds, 2)
