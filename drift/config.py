"""What a score depends on besides the videos."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from drift.errors import UsageError
from drift.registry import FAST, resolve_metrics
from drift.sampling import MAX_FPS

CutPolicy: TypeAlias = Literal["keep", "drop-pair"]
CUT_POLICIES: tuple[CutPolicy, ...] = ("keep", "drop-pair")
"""What is done about pairs of frames that `drift.cuts` takes for a scene cut."""


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """Settings of a score; the number of workers is no part of it, since no number depends on it.

    Args:
        metrics: Names of metrics or groups; kept in preset order, each once.
        segments: Time slices a video, at least 2. The published definition has 5.
        fps: Frames a second at which videos are sampled, by time; None takes every frame.
        cut_policy: `keep`, or `drop-pair` to leave the pairs of scene cuts out of pair metrics.
    """

    metrics: tuple[str, ...] = FAST
    segments: int = 5
    fps: float | None = None
    cut_policy: CutPolicy = "keep"

    def __post_init__(self) -> None:
        """Validates, and expands groups.

        Raises:
            UsageError: an unknown metric, too few segments, or an impossible frame rate.
        """
        if isinstance(self.metrics, str):
            raise UsageError(f"metrics is the text {self.metrics!r}; give a tuple of names")
        if isinstance(self.segments, bool) or not isinstance(self.segments, int):
            raise UsageError(f"segments is {self.segments!r}; it must be a whole number")
        if self.segments < 2:
            raise UsageError(f"segments is {self.segments}; a slope needs at least 2, 5 is usual")
        if self.fps is not None and not (math.isfinite(self.fps) and 0 < self.fps <= MAX_FPS):
            raise UsageError(f"fps is {self.fps}; it must be above 0 and at most {MAX_FPS:g}")
        object.__setattr__(self, "fps", None if self.fps is None else float(self.fps))
        if self.cut_policy not in CUT_POLICIES:
            choices = ", ".join(CUT_POLICIES)
            raise UsageError(f"cut_policy is {self.cut_policy!r}; choose from {choices}")
        try:
            object.__setattr__(self, "metrics", resolve_metrics(self.metrics))
        except ValueError as error:
            raise UsageError(str(error)) from None
