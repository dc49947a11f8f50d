"""Values of consecutive frames, in one pass over a video."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drift.metrics.brightness import brightness
from drift.metrics.difference import difference
from drift.metrics.registry import METRICS
from drift.metrics.settings import MetricSettings
from drift.video.batch import FrameBatch
from drift.video.decode import open_video

Frame = NDArray[np.uint8]
BATCH_FRAMES = 16
"""Frames that are held at once."""


def luminance_step(before: Frame, after: Frame) -> float:
    """Absolute difference of the mean luminance of two frames, in levels 0..255."""
    return 255.0 * abs(brightness(after) - brightness(before))


@dataclass(frozen=True, kw_only=True)
class PairMetric:
    """A measure of the change between two frames.

    Attributes:
        name: Name in files and on the command line.
        unit: Unit of its values, which are >= 0.
        floor: A change that nobody can see, in that unit; see `periodic.local_ratios`.
        learned: Metric of `drift.metrics` that it is made of, empty if it needs no network.
        distance: Makes a distance of that metric's value.
        of_frames: Its value for two frames, where it needs no network.
    """

    name: str
    unit: str
    floor: float
    learned: str = ""
    distance: Callable[[float], float] = field(default=float)
    of_frames: Callable[[Frame, Frame], float] | None = None


def _cosine_distance(cosine: float) -> float:
    return max(0.0, 1.0 - cosine)


PAIR_METRICS: dict[str, PairMetric] = {
    metric.name: metric
    for metric in (
        PairMetric(name="difference", unit="levels", floor=0.05, of_frames=difference),
        PairMetric(name="luminance", unit="levels", floor=0.05, of_frames=luminance_step),
        PairMetric(name="lpips", unit="distance", floor=1e-3, learned="lpips"),
        PairMetric(
            name="dino", unit="1 - cosine", floor=1e-4, learned="dino_coherence",
            distance=_cosine_distance,
        ),
    )
}  # fmt: skip
DEFAULT_METRICS = ("difference", "luminance")


def pair_values(
    file: Path, metrics: Sequence[str], settings: MetricSettings
) -> tuple[dict[str, list[float]], float | None]:
    """Measures every pair of consecutive frames of a video.

    Args:
        file: The video.
        metrics: Names in `PAIR_METRICS`.
        settings: Device and weights of the learned ones.

    Returns:
        One value a pair for each metric, and the video's frames a second where it tells them.

    Raises:
        BrokenVideoError: If the video cannot be decoded whole.
    """
    chosen = [PAIR_METRICS[name] for name in metrics]
    networks = {
        metric.name: METRICS[metric.learned].new_metric(settings)
        for metric in chosen
        if metric.learned
    }
    values: dict[str, list[float]] = {metric.name: [] for metric in chosen}
    last: Frame | None = None
    with open_video(file) as video:
        for batch in _batches(video.frames()):
            frames = list(batch) if last is None else [last, *batch]
            for metric in chosen:
                if metric.of_frames is not None:
                    values[metric.name] += map(metric.of_frames, frames[:-1], frames[1:])
                else:
                    values[metric.name] += map(metric.distance, networks[metric.name](batch))
            last = batch[-1]
        return values, video.info.fps


def _batches(frames: Iterator[Frame]) -> Iterator[FrameBatch]:
    held: list[Frame] = []
    first = 0
    for frame in frames:
        held.append(frame)
        if len(held) == BATCH_FRAMES:
            yield FrameBatch(held, first)
            first += len(held)
            held = []
    if held:
        yield FrameBatch(held, first)
