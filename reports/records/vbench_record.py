"""VBench's score of one run, as `hiar-vbench score DIR --out FILE` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reports.records.record_files import member, read_json

VBENCH_SCHEMA = "vbench/1"
HEADLINES = ("total", "quality", "semantic")
VBENCH_PREFIX = "vbench_"
"""What a column of VBench is called in paper_numbers.json: the prefix, then the score's name."""


@dataclass(frozen=True, kw_only=True)
class VBenchRecord:
    """One run's VBench scores, 0 to 1.

    Attributes:
        scores: Total, quality and semantic, None with a dimension missing; then raw dimensions.
        missing: Dimensions without a value.
    """

    scores: Mapping[str, float | None]
    missing: tuple[str, ...]

    def score(self, column: str) -> float | None:
        """Returns the value of a column such as `vbench_quality`, None where there is none."""
        return self.scores.get(column.removeprefix(VBENCH_PREFIX))


def read_vbench(path: Path) -> VBenchRecord:
    """Reads a score record.

    The paper does not say whether its Dynamic and Smooth columns are raw or normalised. Raw is read
    here, as VBench lists single dimensions; for Dynamic the two are the same.

    Raises:
        RecordError: Another schema or a missing key.
    """
    data = read_json(path, VBENCH_SCHEMA)
    scores: dict[str, float | None] = {name: member(path, data, name) for name in HEADLINES}
    dimensions = member(path, data, "dimensions")
    scores |= {name: float(value["raw"]) for name, value in dimensions.items()}
    return VBenchRecord(scores=scores, missing=tuple(member(path, data, "missing")))
