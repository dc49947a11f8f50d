"""The metrics that are built in: one line of data each. Listing them imports no decoder or torch.

To add one: write `drift/metrics/<name>.py` with a function that maps decoded frames to values,
add its line here and its term in a preset, and a test of the same name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, TypeAlias

from drift.preset import PresetTerm, preset_v1

Meter: TypeAlias = Callable[[Sequence[Any]], list[float]]
"""Maps a run of consecutive frames, uint8 (H, W, 3) RGB each, to the values they complete."""


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """What a reader needs to know about a metric.

    Args:
        name: Name in files and on the command line; `drift.metrics.<name>` holds the code.
        version: Goes up whenever a per-frame value changes; part of the resume key.
        unit: Unit of the per-frame values in `frames.parquet`.
        slope_unit: Unit of segment values, slopes and scales.
        better: `higher`, `lower`, or `steady` where a change either way is drift.
        value_range: Smallest and largest per-frame value.
        log_floor: None: slopes are on the values. A number: slopes are on
            `ln(max(value, log_floor))`, so that a value of 0 stays finite.
        labels: What a rising and a falling slope are called.
        source: Where the definition comes from.
    """

    name: str
    version: int
    unit: str
    slope_unit: str
    better: Literal["higher", "lower", "steady"]
    value_range: tuple[float, float]
    log_floor: float | None
    labels: tuple[str, str]
    source: str

    @property
    def term(self) -> PresetTerm:
        """Scale, weight and family in the default preset."""
        return preset_v1().term(self.name)

    def new_meter(self) -> Meter:
        """Imports the metric's module and returns a fresh meter for one video."""
        meter: Meter = import_module(f"drift.metrics.{self.name}").new_meter()
        return meter

    def label(self, slope: float) -> str:
        """Names the direction of a slope; exactly 0 is `steady`."""
        if slope == 0:
            return "steady"
        return self.labels[0] if slope > 0 else self.labels[1]


METRICS: dict[str, MetricSpec] = {
    spec.name: spec
    for spec in (
        MetricSpec(
            name="saturation",
            version=1,
            unit="mean HSV S, 0..1",
            slope_unit="S",
            better="steady",
            value_range=(0.0, 1.0),
            log_floor=None,
            labels=("saturating", "fading"),
            source="HSV hexcone model (Smith 1978), 8-bit as OpenCV computes it",
        ),
        MetricSpec(
            name="sharpness",
            version=1,
            unit="variance of the Laplacian, grey levels 0..255 squared",
            slope_unit="ln variance",
            better="steady",
            # 8-bit grey: |Laplacian| <= 4 * 255, and a variance is at most the square of that.
            value_range=(0.0, float((4 * 255) ** 2)),
            # Rounding to 8 bits alone gives about 20/12 (kernel energy 20, variance 1/12), so
            # nothing below 1 is detail; the floor also bounds what one black frame can do.
            log_floor=1.0,
            labels=("sharpening", "blurring"),
            source="Pech-Pacheco et al. 2000, 4-neighbour kernel",
        ),
    )
}

FAST: tuple[str, ...] = ("saturation", "sharpness")
"""Metrics that need neither weights nor torch."""

GROUPS: dict[str, tuple[str, ...]] = {"fast": FAST, "all": preset_v1().metrics}
"""`all` always means every metric of the preset: it never shrinks to what happens to be built."""


def resolve_metrics(names: Sequence[str]) -> tuple[str, ...]:
    """Expands groups and puts metrics in preset order, each once.

    Args:
        names: Metric and group names.

    Returns:
        Names of built-in metrics.

    Raises:
        ValueError: a name is unknown, is not built in yet, or there is none.
    """
    wanted = {metric for name in names for metric in GROUPS.get(name, (name,))}
    known = preset_v1().metrics
    for name in names:
        if name not in known and name not in GROUPS:
            choices = ", ".join((*METRICS, "fast"))
            raise ValueError(f"metric {name!r} is unknown; choose from {choices}")
    absent = [name for name in known if name in wanted and name not in METRICS]
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        raise ValueError(f"{', '.join(absent)} {verb} not built in yet; use {', '.join(METRICS)}")
    if not wanted:
        raise ValueError(f"no metric given; choose from {', '.join(METRICS)}")
    return tuple(name for name in known if name in wanted)
