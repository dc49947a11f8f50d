"""Measured speed: of the sampler's orders, and of compared models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.records.record_files import RecordError, member, read_json

BENCH_SCHEMA = "bench/1"
TIMING_SCHEMA = "baselines-time/1"


@dataclass(frozen=True, kw_only=True)
class BenchRecord:
    """The measured speed of one order, or of one compared model.

    Attributes:
        ranks: Number of processes that shared a video.
        repeats: Number of runs that the numbers are the median of.
        seconds_range: Seconds of the fastest and slowest run over those of the median; None where
            there was one run.
    """

    order: str
    throughput_fps: float
    latency_s: float
    passes_per_block: float
    ranks: int = 1
    repeats: int = 1
    seconds_range: tuple[float, float] | None = None


def read_bench(path: Path) -> dict[str, BenchRecord]:
    """Reads the rows that `hiar bench` wrote, by order."""
    data = read_json(path, BENCH_SCHEMA)
    return {
        row["order"]: BenchRecord(
            order=row["order"],
            throughput_fps=float(row["throughput_fps"]),
            latency_s=float(row["latency_s"]),
            passes_per_block=float(row["passes_per_block"]),
            ranks=int(row.get("ranks", 1)),
            repeats=int(row.get("repeats", 1)),
            seconds_range=_spread(row),
        )
        for row in data["rows"]
    }


def _spread(row: Mapping[str, Any]) -> tuple[float, float] | None:
    if row.get("repeats", 1) < 2:
        return None
    low, high = (float(bound) / float(row["seconds"]) for bound in row["seconds_range"])
    return low, high


def read_timing(path: Path) -> BenchRecord:
    """Reads the one row that `hiar-baselines time MODEL --out FILE` wrote.

    Raises:
        RecordError: Another schema, a missing key, or another number of rows.
    """
    rows = member(path, read_json(path, TIMING_SCHEMA), "rows")
    if len(rows) != 1:
        raise RecordError(f"{path}: {len(rows)} rows; this reads one: time the model again")
    row = rows[0]
    fastest, slowest = (seconds / row["chunk_s"] for seconds in member(path, row, "chunk_s_range"))
    return BenchRecord(
        order=member(path, row, "model"),
        throughput_fps=float(member(path, row, "throughput_fps")),
        latency_s=float(member(path, row, "latency_s")),
        passes_per_block=float(row.get("passes_per_block", 0.0)),
        seconds_range=(fastest, slowest),
    )
