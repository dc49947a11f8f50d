"""Tiny proxies of one run, as `hiar-vbench proxies DIR --out FILE` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reports.records.record_files import member, read_json

PROXIES_SCHEMA = "proxies/1"
COLUMN_PROXIES = {
    "vbench_semantic": "prompt_following",
    "vbench_dynamic_degree": "dynamic_degree",
    "vbench_motion_smoothness": "motion_smoothness",
}
"""What is shown in a column of VBench at the tiny scale, where VBench was not run."""
MARK = "tiny proxy"


@dataclass(frozen=True, kw_only=True)
class ProxyValue:
    """One proxy of one run.

    Attributes:
        mean, ci95: Over videos; the interval, over prompts, is None with a single prompt.
        how: What was measured.
        videos: Value by video, for paired comparisons.
    """

    mean: float
    ci95: tuple[float, float] | None
    unit: str
    how: str
    videos: Mapping[str, float]

    @property
    def note(self) -> str:
        """Says that it is a proxy, and of what."""
        return f"{MARK}: {self.how}" + (f", {self.unit}" if self.unit else "")


@dataclass(frozen=True, kw_only=True)
class ProxyRecord:
    """All proxies of one run, by name."""

    measures: Mapping[str, ProxyValue]

    def column(self, column: str) -> ProxyValue | None:
        """Returns the proxy that stands in a column, None where there is none."""
        name = COLUMN_PROXIES.get(column)
        return self.measures.get(name) if name else None


def read_proxies(path: Path) -> ProxyRecord:
    """Reads a record of proxies.

    Raises:
        RecordError: Another schema or a missing key.
    """
    data = read_json(path, PROXIES_SCHEMA)
    measures = {}
    for name, found in member(path, data, "measures").items():
        interval = member(path, found, "ci95")
        measures[name] = ProxyValue(
            mean=float(member(path, found, "mean")),
            ci95=None if interval is None else (float(interval[0]), float(interval[1])),
            unit=member(path, found, "unit"),
            how=member(path, found, "how"),
            videos={video: float(v) for video, v in member(path, found, "videos").items()},
        )
    return ProxyRecord(measures=measures)
