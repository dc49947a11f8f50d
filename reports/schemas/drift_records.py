"""Models of the records of `drift`: drift/1, seams/1, compare, lengths, power and validation.

What packages and settings a record was made with is an open table: it may hold more in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Interval = tuple[float, float]
Table = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class PresetName:
    """Which preset a score is by: scores of two hashes are not compared."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How intervals were drawn."""

    resamples: int
    seed: int
    level: float
    unit: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A video without a score, and why."""

    path: str
    status: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How a metric changes over a video: kinds of change with their number of videos."""

    kinds: Mapping[str, int]
    line_r2: float | None
    step_r2: float | None
    curvature: float | None
    curvature_ci95: Interval | None


@dataclass(frozen=True, kw_only=True)
class FirstLast:
    """The first five seconds of the videos against their last five."""

    first: float
    last: float
    difference: float
    ci95: Interval
    abs_difference_of_means: float
    mean_abs_difference: float


@dataclass(frozen=True, kw_only=True)
class ByDistance:
    """Means over videos at distances in time between two frames."""

    seconds: tuple[float, ...]
    mean: tuple[float, ...]
    ci95: tuple[Interval, ...]


@dataclass(frozen=True, kw_only=True)
class MetricSummary:
    """A metric over the videos of a run; slopes are in `unit` per segment."""

    unit: str
    better: str
    family: str
    segment_means: tuple[float, ...]
    segment_ci95: tuple[Interval, ...]
    mean_slope: float
    mean_abs_slope: float
    ci95: Interval
    mean_slope_per_s: float | None
    mean_abs_slope_per_s: float | None
    noise_floor: float
    floor_corrected_slope: float
    total_change: float
    label: str
    labels: Mapping[str, int]
    scale: float
    weight: float
    drift: float
    drift_ci95: Interval
    drift_noise_floor: float
    shape: Shape
    framepack_delta15: float
    vde: float | None
    vde_videos: int
    share: float | None
    first_last_5s: FirstLast | None = None
    version: int | None = None
    by_distance: ByDistance | None = None
    measured: Table | None = None


@dataclass(frozen=True, kw_only=True)
class DriftScore:
    """The score of a run; None where no video was scored."""

    value: float | None
    ci95: Interval | None
    noise_floor: float | None
    excess: float | None
    excess_ci95: Interval | None
    partial: bool
    missing_metrics: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ShortSeam:
    """The seam of a metric: change at the borders of blocks over change elsewhere."""

    seam_ratio: float
    ci95: Interval | None
    largest_other_phase: float
    found: bool


@dataclass(frozen=True, kw_only=True)
class Seam(ShortSeam):
    """The seam of a metric with what shows where it lies and whether it grows."""

    unit: str
    jump: float
    trend: float | None
    num_borders: int
    profile: tuple[float, ...]
    periodogram: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class VideoShortSeams:
    """The seams of one video in the summary of a run."""

    path: str
    metrics: Mapping[str, ShortSeam]


@dataclass(frozen=True, kw_only=True)
class RunSeams:
    """The seams of a run, or the reason why there are none."""

    metrics: Mapping[str, Seam]
    videos: tuple[VideoShortSeams, ...]
    first: int | None = None
    block: int | None = None
    borders_from: Literal["sidecar", "given", "estimated"] | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """`summary.json` of `drift score`; `invalid` says why no number of the run means anything."""

    schema: Literal["drift/1"]
    videos: int
    scored: int
    passed_over: int
    prompts: int
    segments: int
    preset: PresetName
    metrics: Mapping[str, MetricSummary]
    drift_score: DriftScore
    leave_one_out: Table
    weight_sensitivity: Table | None
    correlation: Table | None
    worst: Table | None
    failed: tuple[Failure, ...]
    media: tuple[Table, ...]
    warnings: tuple[str, ...]
    bootstrap: Bootstrap
    provenance: Table
    cuts: Table | None = None
    frozen: tuple[str, ...] = ()
    prompt_changes: Table | None = None
    seams: RunSeams | None = None
    invalid: str | None = None


@dataclass(frozen=True, kw_only=True)
class VideoSeams:
    """The seams of one video, by metric."""

    path: str
    metrics: Mapping[str, Seam]


@dataclass(frozen=True, kw_only=True)
class Seams:
    """Record of `drift seams`: `first` and `block` count frames."""

    schema: Literal["seams/1"]
    first: int
    block: int
    borders_from: Literal["sidecar", "given", "estimated"]
    metrics: Mapping[str, Seam]
    videos: tuple[VideoSeams, ...]
    failed: tuple[Failure, ...]
    provenance: Table


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """Means of a run over the pairs: its score and the drift of each metric."""

    name: str
    score: float
    drift: Mapping[str, float]
    seams: Mapping[str, ShortSeam]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A run minus the baseline in one column; None where pairs are too few to tell."""

    baseline: float
    run: float
    difference: float
    ci95: Interval | None
    percent: float | None
    percent_ci95: Interval | None
    smallest_detectable: float | None
    effect_size_dz: float | None
    share_baseline_lower: float | None
    p: float | None
    p_holm: float | None


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """One run against the baseline."""

    run: str
    score: Difference
    metrics: Mapping[str, Difference]
    most_different: tuple[Table, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Record of `drift compare`; negative differences are less drift than the baseline's."""

    schema: Literal["drift-compare/1"]
    preset: PresetName
    segments: int
    metrics: tuple[str, ...]
    pair_by: Literal["prompt", "name"]
    pairs: int
    prompts: int
    baseline: str
    runs: tuple[ComparedRun, ...]
    comparisons: tuple[RunComparison, ...]
    rank_stability: Table | None
    unpaired: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
    bootstrap: Bootstrap
    invalid: str | None = None


@dataclass(frozen=True, kw_only=True)
class LengthScore:
    """The score of videos as if they had ended early."""

    value: float
    ci95: Interval
    noise_floor: float


@dataclass(frozen=True, kw_only=True)
class Length:
    """A run at one length."""

    seconds: float
    score: LengthScore
    metrics: Mapping[str, Table]


@dataclass(frozen=True, kw_only=True)
class RunLengths:
    """A run at all lengths, in rising order."""

    name: str
    videos: int
    prompts: int
    segments: int
    preset: PresetName
    metrics: tuple[str, ...]
    missing_metrics: tuple[str, ...]
    lengths: tuple[Length, ...]
    provenance: Table


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Record of `drift lengths`: scores against the length of the videos."""

    schema: Literal["drift-lengths/1"]
    seconds: tuple[float, ...]
    runs: tuple[RunLengths, ...]
    bootstrap: Bootstrap
    invalid: str | None = None


@dataclass(frozen=True, kw_only=True)
class PowerPoint:
    """Chance to find the difference with so many prompts."""

    prompts: int
    power: float


@dataclass(frozen=True, kw_only=True)
class NeededPrompts:
    """Prompts that find the difference; `deviation` is that of paired differences."""

    prompts: int
    ci95: tuple[int, int]
    curve: tuple[PowerPoint, ...]
    deviation: float | None = None


@dataclass(frozen=True, kw_only=True)
class PowerEntry:
    """Prompts needed in one column, with and without pairs; None where they cannot be told."""

    mean: float
    deviation: float
    difference: float
    unpaired: NeededPrompts | None
    paired: NeededPrompts | None


@dataclass(frozen=True, kw_only=True)
class Power:
    """Record of `drift power`: how many prompts a comparison needs."""

    schema: Literal["drift-power/1"]
    runs: tuple[Table, ...]
    detect: Table
    alpha: float
    power: float
    score: PowerEntry
    metrics: Mapping[str, PowerEntry]
    notes: tuple[str, ...]
    bootstrap: Bootstrap
    invalid: str | None = None


@dataclass(frozen=True, kw_only=True)
class ValidationColumn:
    """What a metric, the seams or the score read in control videos."""

    version: int | None
    scale: float | None
    degradations: Mapping[str, Table]
    blind_to: tuple[str, ...]
    controls: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Record of `drift validate`: which planted faults each column notices."""

    schema: Literal["drift-validation/1"]
    sources: tuple[str, ...]
    doses: tuple[float, ...]
    blind_below: float
    columns: Mapping[str, ValidationColumn]
    frozen: Mapping[str, int]
    provenance: Table
    media: tuple[Table, ...] = ()
    invalid: str | None = None
