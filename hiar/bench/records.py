"""Reading bench/1 records, and `hiar bench --compare A B`: two records side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hiar.bench.rows import Row
from hiar.errors import UsageError

SCHEMA = "bench/1"
FIGURES = ("seconds", "throughput_fps", "latency_s", "first_block_s")
"""Figures of a row that a comparison sets side by side."""
CONDITIONS = ("commit", "device_name", "threads", "packages", "platform")
"""Entries of the provenance whose differences a comparison names."""


@dataclass(frozen=True, kw_only=True)
class BenchRecord:
    """What `hiar bench` wrote.

    Attributes:
        rows: One row for each order.
        provenance: Commit, packages and machine of the run.
    """

    rows: Sequence[Row]
    provenance: Mapping[str, Any]


def read_record(path: Path) -> BenchRecord:
    """Read a record of `hiar bench`.

    Raises:
        UsageError: If there is no such file, it is something else, or a row lacks a field.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"no record {path}: {error.strerror}; write one with --out") from None
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise UsageError(f"{path} is no {SCHEMA} record: hiar bench --out writes one")
    return record_of(record)


def record_of(facts: Mapping[str, Any]) -> BenchRecord:
    """The typed form of a record."""
    rows = tuple(Row.read(row) for row in facts["rows"])
    return BenchRecord(rows=rows, provenance=facts["provenance"])


def identity(row: Row) -> tuple[object, ...]:
    """What a row measured: rows with equal identities are measurements of the same thing."""
    return (
        row.order, row.ranks, row.gpus, row.config, row.dtype, row.latent_frames, row.window,
        row.wave_batch, row.backend, row.compile, row.is_fused, tuple(row.options),
        row.pictures and row.pictures.decoder,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One measurement in both records.

    Attributes:
        before: Row of the first record.
        after: Row of the second record.
    """

    before: Row
    after: Row

    def ratio(self, figure: str) -> float:
        """The second record's figure over the first's."""
        return float(getattr(self.after, figure)) / float(getattr(self.before, figure))

    @property
    def is_clear(self) -> bool | None:
        """Whether the ranges of the runs lie apart; None where a row has a single run."""
        if min(self.before.repeats, self.after.repeats) < 2:
            return None
        (low_a, high_a), (low_b, high_b) = self.before.seconds_range, self.after.seconds_range
        return bool(low_a > high_b or low_b > high_a)

    @property
    def same_bits(self) -> bool | None:
        """Whether the latents are equal; None where a checksum is missing."""
        if self.before.sha256 is None or self.after.sha256 is None:
            return None
        return self.before.sha256 == self.after.sha256


def compare(before: BenchRecord, after: BenchRecord) -> tuple[list[Comparison], list[str]]:
    """Pair the rows of two records.

    Returns:
        The pairs, in the first record's sequence; and notes on rows that have no partner and
        conditions that differ.
    """
    others = list(after.rows)
    pairs, notes = [], []
    for row in before.rows:
        twin = next((other for other in others if identity(other) == identity(row)), None)
        if twin is None:
            notes.append(f"only in the first: {_described(row)}")
            continue
        others.remove(twin)
        pairs.append(Comparison(before=row, after=twin))
    notes += [f"only in the second: {_described(row)}" for row in others]
    for name in CONDITIONS:
        values = [record.provenance.get(name) for record in (before, after)]
        if values[0] != values[1]:
            notes.append(f"{name} differs: {_short(values[0])} and {_short(values[1])}")
    return pairs, notes


def _described(row: Row) -> str:
    """A row with the options that tell it from one of equal order."""
    parts = [row.label, row.config, row.dtype, f"{row.latent_frames} latent frames"]
    parts += [f"window {row.window or 'all'}", row.backend]
    parts += [f"decoded by {row.pictures.decoder or 'vae'}"] if row.pictures else []
    return ", ".join(parts)


def _short(value: Any) -> str:
    return f"{len(value)} packages" if isinstance(value, dict) else str(value)


def comparison_facts(pairs: Sequence[Comparison], notes: Sequence[str]) -> dict[str, Any]:
    """The pairs for a record."""
    rows = [
        {
            "label": pair.before.label,
            "ratios": {figure: pair.ratio(figure) for figure in FIGURES},
            "outside_the_spread": pair.is_clear,
            "same_bits": pair.same_bits,
        }
        for pair in pairs
    ]
    return {"schema": "bench-compare/1", "rows": rows, "notes": list(notes)}


def format_comparison(pairs: Sequence[Comparison], notes: Sequence[str]) -> str:
    """The pairs for people: seconds of both, and the second over the first."""
    lines = [
        "measurement             before s   after s  time x  frames/s x  block x  first x  "
        "outside the spread  same bits"
    ]
    words = {None: "?", True: "yes", False: "no"}
    for pair in pairs:
        ratios = [pair.ratio(figure) for figure in FIGURES]
        lines.append(
            f"{pair.before.label:22} {pair.before.seconds:9.3f} {pair.after.seconds:9.3f} "
            f"{ratios[0]:7.3f} {ratios[1]:11.3f} {ratios[2]:8.3f} {ratios[3]:8.3f} "
            f"{words[pair.is_clear]:>19} {words[pair.same_bits]:>10}"
        )
    return "\n".join([*lines, *notes]) + "\n"
