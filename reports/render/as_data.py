"""Renders a table as JSON or tidy CSV: every cell with its number, or the reason of its absence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drift.files import dump_json
from reports.tables.cells import TABLE_SCHEMA, Cell, Change, Column, Measured, Row, Table


def table_record(table: Table) -> dict[str, Any]:
    """Returns a table as JSON data."""
    return {
        "schema": TABLE_SCHEMA,
        "table": table.name,
        "title": table.title,
        "source": table.source,
        "scale": table.scale,
        "reference": table.reference,
        "notes": [note for note in table.notes if note],
        "columns": [
            {"id": c.id, "label": c.label, "unit": c.unit, "better": c.better}
            for c in table.columns
        ],
        "rows": [_row_record(table, row) for row in table.rows],
    }


def to_json(table: Table) -> str:
    """Renders a table as JSON."""
    return dump_json(table_record(table))


def to_csv(table: Table) -> str:
    """Renders a table as tidy CSV, one line for each cell."""
    lines = [
        {
            "table": table.name,
            "row": row.id,
            "label": row.label,
            "in_paper": row.in_paper,
            "column": column.id,
            "unit": column.unit,
            "better": column.better,
            **_flat(_cell_record(table, row, column)),
        }
        for row in table.rows
        for column in table.columns
    ]
    return csv_text(lines)


def csv_text(records: Sequence[Mapping[str, Any]]) -> str:
    """Renders flat records with the same keys as CSV; None is an empty field."""
    import pandas as pd  # noqa: PLC0415  (a plan and --help need no table)

    # As objects, so that a count beside a missing one is not turned into a float.
    return pd.DataFrame(records, dtype=object).to_csv(index=False, lineterminator="\n")


def _row_record(table: Table, row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "label": row.label,
        "group": row.group,
        "in_paper": row.in_paper,
        "measured_with": row.origin,
        "cells": {column.id: _cell_record(table, row, column) for column in table.columns},
    }


def _cell_record(table: Table, row: Row, column: Column) -> dict[str, Any]:
    cell = row.cells[column.id]
    published = table.published_change(row, column) if column.relative else None
    return {
        "published": cell.published,
        "measured": _measured_record(cell),
        "difference": cell.difference,
        "change_published": published.value if published else None,
        "change_measured": _change_record(row.changes.get(column.id)),
    }


def _measured_record(cell: Cell) -> dict[str, Any]:
    outcome = cell.measured
    if not isinstance(outcome, Measured):
        return {"status": "not run", "reason": outcome.reason}
    return {
        "status": "measured",
        "scale": outcome.scale,
        "value": outcome.value,
        "interval": list(outcome.interval) if outcome.interval else None,
        "n": outcome.n,
        "n_of": outcome.n_of,
        "job": outcome.job,
        "note": outcome.note or None,
    }


def _change_record(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None
    return {"value": change.value, "interval": list(change.interval) if change.interval else None}


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    measured, change = record["measured"], record["change_measured"] or {}
    low, high = measured.get("interval") or (None, None)
    change_low, change_high = change.get("interval") or (None, None)
    return {
        "published": record["published"],
        "status": measured["status"],
        "measured": measured.get("value"),
        "measured_low": low,
        "measured_high": high,
        "n": measured.get("n"),
        "n_of": measured.get("n_of"),
        "scale": measured.get("scale"),
        "job": measured.get("job"),
        "reason": measured.get("reason"),
        "note": measured.get("note"),
        "difference": record["difference"],
        "change_published": record["change_published"],
        "change_measured": change.get("value"),
        "change_low": change_low,
        "change_high": change_high,
    }
