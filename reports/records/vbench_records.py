"""VBench's scores of one run, and the proxies of its dimensions that need no weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reports.records.record_files import read_record
from reports.schemas.eval_records import VBenchScore

HEADLINES = ("total", "quality", "semantic")
VBENCH_PREFIX = "vbench_"
"""A column of VBench in paper_numbers.json has this prefix before the name of the score."""
COLUMN_PROXIES = {
    "vbench_semantic": "prompt_following",
    "vbench_dynamic_degree": "dynamic_degree",
    "vbench_motion_smoothness": "motion_smoothness",
}
"""Proxy shown in a column of VBench at the tiny scale, where VBench itself was not run."""
MARK = "tiny proxy"


@dataclass(frozen=True, kw_only=True)
class VBenchRecord:
    """One run's VBench scores, 0 to 1.

    Attributes:
        scores: Scores by name: total, quality and semantic, which are None where a dimension is
            missing, and the raw value of each dimension.
        missing: Dimensions without a value.
    """

    scores: Mapping[str, float | None]
    missing: tuple[str, ...]

    def score(self, column: str) -> float | None:
        """Returns the value of a column such as `vbench_quality`, None where there is none."""
        return self.scores.get(column.removeprefix(VBENCH_PREFIX))


def read_vbench(path: Path) -> VBenchRecord:
    """Reads the score that `hiar-vbench score DIR --out FILE` wrote.

    The paper does not say whether its Dynamic and Smooth columns are raw or normalised. Raw is read
    here, as VBench lists single dimensions; for Dynamic the two are the same.

    Raises:
        UsageError: Another version or a missing key.
    """
    record = read_record(path, VBenchScore)
    scores: dict[str, float | None] = {name: getattr(record, name) for name in HEADLINES}
    scores |= {name: dimension.raw for name, dimension in record.dimensions.items()}
    return VBenchRecord(scores=scores, missing=record.missing)


@dataclass(frozen=True, kw_only=True)
class ProxyValue:
    """One proxy of one run.

    Attributes:
        mean: Mean over videos.
        ci95: 95 % interval over prompts, None with a single prompt.
        stands_for: Dimension of VBench that it stands for; empty for none.
        how: What was measured.
        videos: Values by video, for paired comparisons.
    """

    mean: float
    ci95: tuple[float, float] | None
    unit: str
    stands_for: str
    how: str
    videos: Mapping[str, float]

    @property
    def note(self) -> str:
        """Note that this is a proxy, and how it was measured."""
        return f"{MARK}: {self.how}" + (f", {self.unit}" if self.unit else "")


@dataclass(frozen=True, kw_only=True)
class ProxyRecord:
    """Record of `hiar-vbench proxies`: all proxies of one run, by name."""

    schema: Literal["proxies/1"] = "proxies/1"
    scale: Literal["tiny"]
    videos: int
    measures: Mapping[str, ProxyValue]

    def column(self, column: str) -> ProxyValue | None:
        """Returns the proxy that stands in a column, None where there is none."""
        name = COLUMN_PROXIES.get(column)
        return self.measures.get(name) if name else None


def read_proxies(path: Path) -> ProxyRecord:
    """Reads the record that `hiar-vbench proxies DIR --out FILE` wrote."""
    return read_record(path, ProxyRecord)
