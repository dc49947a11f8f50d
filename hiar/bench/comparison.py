"""`hiar bench --compare A B`: rows of two records that measured the same thing, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hiar.bench.records import Row, identity, label

FIGURES = ("seconds", "throughput_fps", "latency_s", "first_block_s")
CONDITIONS = ("commit", "device_name", "threads", "packages", "platform")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One measurement in both records.

    Attributes:
        label: What was measured.
        before, after: Its rows.
    """

    label: str
    before: Row
    after: Row

    def ratio(self, figure: str) -> float:
        """The second record's figure over the first's."""
        return float(self.after[figure]) / float(self.before[figure])

    @property
    def is_clear(self) -> bool | None:
        """Whether the ranges of the runs lie apart; None where a row has a single run."""
        if min(self.before.get("repeats", 1), self.after.get("repeats", 1)) < 2:
            return None
        (low_a, high_a), (low_b, high_b) = self.before["seconds_range"], self.after["seconds_range"]
        return bool(low_a > high_b or low_b > high_a)

    @property
    def same_bits(self) -> bool | None:
        """Whether the latents are equal; None where a checksum is missing."""
        if "sha256" not in self.before or "sha256" not in self.after:
            return None
        return bool(self.before["sha256"] == self.after["sha256"])


def compare(before: dict[str, Any], after: dict[str, Any]) -> tuple[list[Comparison], list[str]]:
    """Pair the rows of two records.

    Returns:
        The pairs, in the first record's sequence; and what else differs or stands alone, in words.
    """
    others = list(after["rows"])
    pairs, notes = [], []
    for row in before["rows"]:
        twin = next((other for other in others if identity(other) == identity(row)), None)
        if twin is None:
            notes.append(f"only in the first: {label(row)}")
            continue
        others.remove(twin)
        pairs.append(Comparison(label=label(row), before=row, after=twin))
    notes += [f"only in the second: {label(row)}" for row in others]
    for name in CONDITIONS:
        values = [record["provenance"].get(name) for record in (before, after)]
        if values[0] != values[1]:
            notes.append(f"{name} differs: {_short(values[0])} and {_short(values[1])}")
    return pairs, notes


def _short(value: Any) -> str:
    return f"{len(value)} packages" if isinstance(value, dict) else str(value)


def comparison_facts(pairs: Sequence[Comparison], notes: Sequence[str]) -> dict[str, Any]:
    """The pairs for a record."""
    rows = [
        {
            "label": pair.label,
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
            f"{pair.label:22} {pair.before['seconds']:9.3f} {pair.after['seconds']:9.3f} "
            f"{ratios[0]:7.3f} {ratios[1]:11.3f} {ratios[2]:8.3f} {ratios[3]:8.3f} "
            f"{words[pair.is_clear]:>19} {words[pair.same_bits]:>10}"
        )
    return "\n".join([*lines, *notes]) + "\n"
