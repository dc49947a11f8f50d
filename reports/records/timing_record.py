"""The speed of one compared model, as `hiar-baselines time MODEL --out FILE` writes it."""

from __future__ import annotations

from pathlib import Path

from reports.records.record_files import RecordError, member, read_json
from reports.records.records import BenchRecord

TIMING_SCHEMA = "baselines-time/1"


def read_timing(path: Path) -> BenchRecord:
    """Reads a record with one row.

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
