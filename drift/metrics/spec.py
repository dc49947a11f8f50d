"""What a metric is: its unit and direction, how it is run, and how to start it on a video."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, TypeAlias

from drift.metrics.settings import MetricSettings

Metric: TypeAlias = Callable[[Sequence[Any]], list[float]]
"""A metric at work on one video: maps its next frames to the values that they complete.

A frame is uint8 (H, W, 3) RGB.
"""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to run a learned metric.

    Args:
        name: Name on the command line.
        weights: Names in `drift.metrics.weights.local` of the files that it loads.
        about: Description in a few words.
    """

    name: str
    weights: tuple[str, ...]
    about: str


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """What a reader needs to know about a metric.

    Args:
        name: Name in files and on the command line; `drift.metrics.<name>` holds the code.
        version: Version that goes up whenever a per-frame value changes; old records are then
            measured again.
        unit: Unit and range of the per-frame values in `frames.parquet`.
        slope_unit: Unit of segment values, slopes and scales.
        better: `higher`, `lower`, or `steady` where a change either way is drift.
        log_floor: None if slopes are taken on the values. Else they are taken on
            `ln(max(value, log_floor))`, so that a value of 0 stays finite.
        labels: Words for a rising and for a falling slope.
        source: Origin of the definition.
        variants: Ways to run a learned metric, the default first; empty for a metric without a
            network. Values of two variants are never mixed or compared.
        sampled: Whether `--every k` restricts the metric to frames 0, k, 2k, ...
        min_side_px: Smallest height and width of a frame that the metric can measure.
    """

    name: str
    version: int
    unit: str
    slope_unit: str
    better: Literal["higher", "lower", "steady"]
    log_floor: float | None
    labels: tuple[str, str]
    source: str
    variants: tuple[Variant, ...] = ()
    sampled: bool = False
    min_side_px: int = 1

    @property
    def learned(self) -> bool:
        """Whether the metric runs a network, and so needs torch and weights."""
        return bool(self.variants)

    def variant(self, name: str | None = None) -> Variant:
        """The variant of that name; for None the first.

        Raises:
            ValueError: the metric has no such variant.
        """
        for variant in self.variants:
            if name in (None, variant.name):
                return variant
        choices = ", ".join(variant.name for variant in self.variants) or "there are none"
        raise ValueError(f"{self.name} has no variant {name!r}; choose from: {choices}")

    def new_metric(
        self, settings: MetricSettings | None = None, variant: str | None = None
    ) -> Metric:
        """Imports the metric's module and starts the metric on one video.

        Args:
            settings: Device, precision and weights of a learned metric.
            variant: Name of a variant; None means the first.
        """
        module = import_module(f"drift.metrics.{self.name}")
        metric: Metric = (
            module.new_metric(settings or MetricSettings(), self.variant(variant).name)
            if self.learned
            else module.new_metric()
        )
        return metric

    def label(self, slope: float) -> str:
        """Names the direction of a slope; exactly 0 is `steady`."""
        if slope == 0:
            return "steady"
        return self.labels[0] if slope > 0 else self.labels[1]
