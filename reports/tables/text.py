"""What every printed table shows: which columns, and the text of a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.tables.cells import Change, Column, Measured, Row, Table

DASH = "–"
MINUS = "−"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The text of one side of a cell, in parts, so that each format sets them its own way.

    Attributes:
        value: The number, or a dash.
        interval: `[low, high]` or empty.
        change: Change against the reference row, or empty.
        difference: Measured less published, or empty; at the paper's own scale only.
        mark: `tiny` or `tiny proxy` on a measured number of that scale, else empty.
        best: Whether the number is the best measured one of its column, or published in bold.
        why: Reason of a dash.
        note: The reason again where it must stand in the cell: something is measured for the row,
            but this number is missing.
    """

    value: str = DASH
    interval: str = ""
    change: str = ""
    difference: str = ""
    mark: str = ""
    best: bool = False
    why: str = ""
    note: str = ""

    def text(self) -> str:
        """Joins all parts in plain text."""
        last = self.change or self.note
        parts = (
            self.value, self.interval, self.mark, f"({last})" if last else "", self.difference
        )  # fmt: skip
        return " ".join(part for part in parts if part)


def measured_columns(table: Table) -> list[Column]:
    """Returns the columns that hold a measured number."""
    return [column for column in table.columns if table.why_not(column) is None]


def shown_published(table: Table, row: Row, column: Column) -> Shown:
    """Returns the published side, with a change where the measured side has one too."""
    value = row.cells[column.id].published
    if value is None:
        why = "not reported in the paper" if row.in_paper else "not in the paper"
        return Shown(why=why)
    change = table.published_change(row, column) if column.id in row.changes else None
    text = published_text(value, column)
    return Shown(value=text, change=percent(change), best=table.published_best(column) == row.id)


def shown_measured(table: Table, row: Row, column: Column) -> Shown:
    """Returns the measured side."""
    outcome = row.cells[column.id].measured
    if not isinstance(outcome, Measured):
        return Shown(why=outcome.reason, note=outcome.reason if row.has_source else "")
    interval = ""
    if outcome.interval is not None:
        interval = "[" + ", ".join(measured_text(bound, column) for bound in outcome.interval) + "]"
    return Shown(
        value=measured_text(outcome.value, column),
        interval=interval,
        change=percent(row.changes.get(column.id)),
        difference=_difference(row.cells[column.id].difference, column),
        mark=outcome.mark,
        best=table.best(column) == row.id,
    )


def percent(change: Change | None) -> str:
    """Formats a change: `−27.6 %`, with its interval where it has one."""
    if change is None:
        return ""
    text = f"{signed(100 * change.value, 1)} %"
    if change.interval is not None:
        low, high = (100 * bound for bound in change.interval)
        # Enough decimals that a bound near 0 does not read as 0.
        nearest = min(abs(low), abs(high))
        decimals = 0 if nearest >= 1 else 1 if nearest >= 0.1 else 2
        text += f" [{signed(low, decimals)}, {signed(high, decimals)}]"
    return text


def signed(value: float, decimals: int) -> str:
    """Formats a number with its sign, a true minus where it is below 0."""
    return f"{value:+.{decimals}f}".replace("-", MINUS)


def _difference(value: float | None, column: Column) -> str:
    if value is None:
        return ""
    return f"Δ {signed(value, _decimals(column))}"


def heading(column: Column) -> str:
    """Names a column with its unit and direction."""
    arrow = "↑" if column.better == "higher" else "↓"
    unit = f" ({column.unit})" if column.unit else ""
    return f"{column.label}{unit} {arrow}"


def legend(table: Table, best_mark: str = "Bold") -> list[str]:
    """Lists what stands under a table, one paragraph an entry.

    Args:
        table: The table.
        best_mark: How the format marks the best measured number.
    """
    by_reason: dict[str, list[str]] = {}
    counts: dict[str, list[str]] = {}
    for column in table.columns:
        why = table.why_not(column)
        if why is not None:
            by_reason.setdefault(why, []).append(column.label)
        for count in _counts(table, column):
            counts.setdefault(count, []).append(column.label)
    lines = [f"Not measured here: {', '.join(names)}: {why}." for why, names in by_reason.items()]
    if counts:
        words = [f"{count} ({', '.join(names)})" for count, names in counts.items()]
        lines.append(f"A measured number is over {', '.join(words)}.")
    lines += [note for note in table.notes if note]
    return [*lines, *shared_legend([table], best_mark)]


def shared_legend(tables: Sequence[Table], best_mark: str = "Bold") -> list[str]:
    """Lists what holds for all tables of a reproduction; the end of each one's `legend`."""
    lines = [
        "Square brackets: 95 % bootstrap interval over prompts, and over trainings where a row has "
        "several."
    ]
    labels = dict.fromkeys(t.reference_label for t in tables if any(r.changes for r in t.rows))
    lines += [f"Round brackets: change against {label} in the same column." for label in labels]
    cells = [cell for table in tables for row in table.rows for cell in row.cells.values()]
    if any(cell.difference is not None for cell in cells):
        lines.append("Δ: measured less published.")
    if any(table.best(column) for table in tables for column in table.columns):
        lines.append(f"{best_mark}: best measured number of a column; intervals may overlap.")
    if any(table.bold_groups for table in tables) and best_mark != "*":
        lines.append(f"{best_mark} published numbers of Table 1: best of the group, as printed.")
    for table in tables:
        lines += [note for note in table.shared_notes if note]
        lines.append(f"Published numbers: {table.source}.")
    return list(dict.fromkeys(lines))


def _counts(table: Table, column: Column) -> list[str]:
    outcomes = [row.cells[column.id].measured for row in table.rows]
    return list(dict.fromkeys(f"{o.n} {o.n_of}" for o in outcomes if isinstance(o, Measured)))


def published_text(value: float, column: Column) -> str:
    """Formats a published number as the paper prints it."""
    return f"{value:g}" if value >= 1 else f"{value:.{column.decimals}f}"


def measured_text(value: float, column: Column) -> str:
    """Formats a measured number with its column's decimals."""
    return f"{value:.{_decimals(column)}f}"


def _decimals(column: Column) -> int:
    return column.decimals if column.measured_decimals is None else column.measured_decimals
