"""Settings that a score depends on, besides the videos and the preset."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from drift.errors import UsageError
from drift.metrics.registry import METRICS, MetricSpec, Variant, resolve_metrics
from drift.video.resample import MAX_FPS

CutPolicy: TypeAlias = Literal["keep", "drop-pair"]
CUT_POLICIES: tuple[CutPolicy, ...] = ("keep", "drop-pair")
"""Ways to treat the pairs of frames that `drift.score.cuts` takes for a scene cut."""

DEFAULT_METRICS = ("fast", "beside")
"""Groups of a run that names no metrics: all that need no weights."""


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """Settings of a score. No number depends on workers or batches, so they are not among them.

    Args:
        metrics: Names of metrics or groups; kept in preset order, each once.
        segments: Number of time slices of a video, at least 2. The published definition has 5.
        fps: Rate in frames a second at which videos are sampled by time; None takes every frame.
        every: Step of the quality metrics (musiq, clip_iqa): they are measured on frames 0, every,
            2 every and so on.
        variants: Pairs (metric, variant) of the variants that are not the default; a mapping is
            accepted too.
        cut_policy: `keep`, or `drop-pair` to leave the pairs of scene cuts out of pair metrics.
        blocks: Frames of the first block and of each later one, at whose borders seams are looked
            for; None takes what sidecars tell, else an estimate. No score depends on it.
    """

    metrics: tuple[str, ...] = DEFAULT_METRICS
    segments: int = 5
    fps: float | None = None
    every: int = 1
    variants: tuple[tuple[str, str], ...] = ()
    cut_policy: CutPolicy = "keep"
    blocks: tuple[int, int] | None = None

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
        if isinstance(self.every, bool) or not isinstance(self.every, int) or self.every < 1:
            raise UsageError(f"every is {self.every!r}; it must be a whole number, at least 1")
        if self.cut_policy not in CUT_POLICIES:
            choices = ", ".join(CUT_POLICIES)
            raise UsageError(f"cut_policy is {self.cut_policy!r}; choose from {choices}")
        if self.blocks is not None:
            object.__setattr__(self, "blocks", checked_blocks(*self.blocks))
        try:
            object.__setattr__(self, "metrics", resolve_metrics(self.metrics))
        except ValueError as error:
            raise UsageError(str(error)) from None
        object.__setattr__(self, "variants", _checked_variants(self.variants, self.metrics))

    def variant(self, spec: MetricSpec) -> Variant:
        """The variant of a learned metric that is run."""
        return spec.variant(dict(self.variants).get(spec.name))

    def frames_of(self, metric: str, num_frames: int) -> range:
        """Indices of the frames at which a metric with a value a frame is measured."""
        return range(0, num_frames, self.every if METRICS[metric].sampled else 1)


def checked_blocks(first: int | None, block: int | None) -> tuple[int, int] | None:
    """Frames of the first block and of each later one; None where neither was given.

    Raises:
        UsageError: one number is missing or too small.
    """
    if first is None and block is None:
        return None
    if first is None or block is None:
        raise UsageError("--first and --block belong together, such as --first 9 --block 12")
    if first < 1 or block < 2:
        raise UsageError(
            f"--first {first} --block {block}: a first block has at least 1 frame, later ones 2"
        )
    return first, block


def _checked_variants(
    given: Mapping[str, str] | tuple[tuple[str, str], ...], metrics: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """The variants checked, sorted and without defaults, so that equal settings compare equal."""
    chosen = dict(given)
    for metric, name in chosen.items():
        if metric not in metrics:
            raise UsageError(
                f"variant {name!r} is for {metric!r}, which is not measured; "
                f"metrics are {', '.join(metrics)}"
            )
        try:
            METRICS[metric].variant(name)
        except ValueError as error:
            raise UsageError(str(error)) from None
    kept = (pair for pair in chosen.items() if pair[1] != METRICS[pair[0]].variants[0].name)
    return tuple(sorted(kept))
