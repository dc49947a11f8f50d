"""What every printed table shows: which columns, and the text of a number."""

from __future__ import annotations

from dataclasses import dataclass

from reports.cells import Change, Column, Measured, Row, Table

DASH = "–"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The text of one side of a cell, in parts, so that each format sets them its own way.

    Attributes:
        value: The number, or a dash.
        interval: `[low, high]` or empty.
        change: Change against the reference row, or empty.
        mark: `tiny` on a measured number of that scale, else empty.
        best: Whether it is the best measured number of its column.
        why: For a dash: why there is no number.
    """

    value: str = DASH
    interval: str = ""
    change: str = ""
    mark: str = ""
    best: bool = False
    why: str = ""

    def text(self) -> str:
        """Joins all parts in plain text."""
        change = f"({self.change})" if self.change else ""
        return " ".join(part for part in (self.value, self.interval, self.mark, change) if part)


def measured_columns(table: Table) -> list[Column]:
    """Returns the columns of which something was measured."""
    return [column for column in table.columns if table.why_not(column) is None]


def shown_published(table: Table, row: Row, column: Column) -> Shown:
    """Returns the published side; its change stands there where a measured change does."""
    value = row.cells[column.id].published
    if value is None:
        why = "not reported in the paper" if row.in_paper else "not in the paper"
        return Shown(why=why)
    change = table.published_change(row, column) if column.id in row.changes else None
    return Shown(
        value=f"{value:g}" if value >= 1 else _fixed(value, column), change=percent(change)
    )


def shown_measured(table: Table, row: Row, column: Column) -> Shown:
    """Returns the measured side."""
    outcome = row.cells[column.id].measured
    if not isinstance(outcome, Measured):
        return Shown(why=outcome.reason)
    interval = ""
    if outcome.interval is not None:
        interval = "[" + ", ".join(_fixed(bound, column) for bound in outcome.interval) + "]"
    return Shown(
        value=_fixed(outcome.value, column),
        interval=interval,
        change=percent(row.changes.get(column.id)),
        mark=outcome.scale if outcome.scale != "paper" else "",
        best=table.best(column) == row.id,
    )


def percent(change: Change | None) -> str:
    """Formats a change: `-27.6 %`, with its interval where it has one."""
    if change is None:
        return ""
    text = f"{100 * change.value:+.1f} %"
    if change.interval is not None:
        low, high = (100 * bound for bound in change.interval)
        text += f" [{low:+.0f}, {high:+.0f}]"
    return text


def heading(column: Column) -> str:
    """Names a column with its unit and direction."""
    arrow = "↑" if column.better == "higher" else "↓"
    unit = f" ({column.unit})" if column.unit else ""
    return f"{column.label}{unit} {arrow}"


def legend(table: Table) -> list[str]:
    """Lists what stands under a table, one paragraph an entry."""
    by_reason: dict[str, list[str]] = {}
    for column in table.columns:
        why = table.why_not(column)
        if why is not None:
            by_reason.setdefault(why, []).append(column.label)
    lines = [f"Not measured here: {', '.join(names)}: {why}." for why, names in by_reason.items()]
    changes = any(row.changes for row in table.rows)
    intervals = "Square brackets: 95 % bootstrap interval over prompts."
    relative = f" Round brackets: change against {table.reference_label} in the same column."
    lines.append(intervals + (relative if changes else ""))
    if any(table.best(column) for column in table.columns):
        lines.append("Bold: best measured number of a column; intervals may overlap.")
    counts = {
        f"{outcome.n} {outcome.n_of} ({column.label})": None
        for column in table.columns
        for row in table.rows
        if isinstance(outcome := row.cells[column.id].measured, Measured)
    }
    if counts:
        lines.append(f"A measured number is over {', '.join(counts)}.")
    lines += [note for note in table.notes if note]
    lines.append(f"Published numbers: {table.source}.")
    return lines


def _fixed(value: float, column: Column) -> str:
    return f"{value:.{column.decimals}f}"
