"""Changes between consecutive frames, made of the values that a run measured."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drift.seams.periodic import Values


@dataclass(frozen=True, kw_only=True)
class PairMetric:
    """A measure of the change between two consecutive frames.

    Attributes:
        name: Name in files and on the command line.
        unit: Unit of its values, which are >= 0.
        floor: A change that nobody can see, in that unit; see `periodic.local_ratios`.
        metric: Metric of `drift.metrics` that it is made of.
        of_values: Maps that metric's values of a video to one value a pair of frames.
    """

    name: str
    unit: str
    floor: float
    metric: str
    of_values: Callable[[Values], Values]


def _as_it_is(values: Values) -> Values:
    return values


def _luminance_steps(brightness: Values) -> Values:
    steps: Values = 255.0 * np.abs(np.diff(brightness))
    return steps


def _cosine_distances(cosines: Values) -> Values:
    distances: Values = np.maximum(0.0, 1.0 - cosines)
    return distances


PAIR_METRICS: dict[str, PairMetric] = {
    metric.name: metric
    for metric in (
        PairMetric(
            name="difference", unit="levels", floor=0.05, metric="difference", of_values=_as_it_is
        ),
        PairMetric(
            name="luminance",
            unit="levels",
            floor=0.05,
            metric="brightness",
            of_values=_luminance_steps,
        ),
        PairMetric(name="lpips", unit="distance", floor=1e-3, metric="lpips", of_values=_as_it_is),
        PairMetric(
            name="dino",
            unit="1 - cosine",
            floor=1e-4,
            metric="dino_coherence",
            of_values=_cosine_distances,
        ),
    )
}
DEFAULT_METRICS = ("difference", "luminance")
