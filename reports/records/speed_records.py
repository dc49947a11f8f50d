"""Measured speed: of the sampler's orders, and of compared models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from drift.errors import UsageError
from reports.records.record_files import read_record
from reports.schemas.hiar_records import Timing


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


@dataclass(frozen=True, kw_only=True)
class BenchRow:
    """What is read of a row of bench/1; `hiar.bench.rows` has all of it."""

    order: str
    seconds: float
    throughput_fps: float
    latency_s: float
    passes_per_block: float
    ranks: int = 1
    repeats: int = 1
    seconds_range: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class BenchFile:
    """A record of `hiar bench`."""

    schema: Literal["bench/1"]
    rows: tuple[BenchRow, ...]


def read_bench(path: Path) -> dict[str, BenchRecord]:
    """Reads the rows that `hiar bench` wrote, by order."""
    return {
        row.order: BenchRecord(
            order=row.order,
            throughput_fps=row.throughput_fps,
            latency_s=row.latency_s,
            passes_per_block=row.passes_per_block,
            ranks=row.ranks,
            repeats=row.repeats,
            seconds_range=_spread(row.seconds_range, row.seconds) if row.repeats > 1 else None,
        )
        for row in read_record(path, BenchFile).rows
    }


def _spread(bounds: tuple[float, float], median: float) -> tuple[float, float]:
    low, high = bounds
    return low / median, high / median


def read_timing(path: Path) -> BenchRecord:
    """Reads the one row that `hiar-baselines time MODEL --out FILE` wrote.

    Raises:
        UsageError: Another version, a missing key, or another number of rows.
    """
    rows = read_record(path, Timing).rows
    if len(rows) != 1:
        raise UsageError(f"{path}: {len(rows)} rows; this reads one: time the model again")
    row = rows[0]
    return BenchRecord(
        order=row.model,
        throughput_fps=row.throughput_fps,
        latency_s=row.latency_s,
        passes_per_block=row.passes_per_chunk or 0,
        seconds_range=_spread(row.chunk_s_range, row.chunk_s),
    )
