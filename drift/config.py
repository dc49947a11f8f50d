"""What a score depends on besides the videos."""

from dataclasses import dataclass

from drift.errors import UsageError
from drift.registry import FAST, resolve_metrics


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """Settings of a score; the number of workers is no part of it, since no number depends on it.

    Args:
        metrics: Names of metrics or groups; kept in preset order, each once.
        segments: Time slices a video, at least 2. The published definition has 5.
    """

    metrics: tuple[str, ...] = FAST
    segments: int = 5

    def __post_init__(self) -> None:
        """Validates, and expands groups.

        Raises:
            UsageError: an unknown metric, or too few segments.
        """
        if isinstance(self.metrics, str):
            raise UsageError(f"metrics is the text {self.metrics!r}; give a tuple of names")
        if isinstance(self.segments, bool) or not isinstance(self.segments, int):
            raise UsageError(f"segments is {self.segments!r}; it must be a whole number")
        if self.segments < 2:
            raise UsageError(f"segments is {self.segments}; a slope needs at least 2, 5 is usual")
        try:
            object.__setattr__(self, "metrics", resolve_metrics(self.metrics))
        except ValueError as error:
            raise UsageError(str(error)) from None
