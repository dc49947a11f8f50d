"""Prepares a table for the page's template: the text of each cell, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.records.measurements import Measurements
from reports.run.execute import Outcome
from reports.tables.cells import Column, Measured, Row, Table
from reports.tables.text import (
    heading,
    legend,
    measured_columns,
    shared_legend,
    shown_measured,
    shown_published,
)


def table_view(
    table: Table, measurements: Measurements, outcomes: Mapping[str, Outcome]
) -> dict[str, Any]:
    """Returns heads, rows and notes of a table, without the notes that all tables share."""
    sides = {column.id: _sides(table, column) for column in table.columns}
    return {
        "name": table.name,
        "title": table.title,
        "heads": [(_keep_arrow(heading(c)), sides[c.id]) for c in table.columns],
        "rows": [
            {"row": row, "cells": _row_view(table, row, sides, measurements, outcomes)}
            for row in table.rows
        ],
        "span": sum(map(len, sides.values())) + 1,
        "legend": [line for line in legend(table) if line not in shared_legend([table])],
    }


def _sides(table: Table, column: Column) -> tuple[str, ...]:
    """The sides of a column that are shown: measured alone where the paper has no such row."""
    if not any(row.in_paper for row in table.rows):
        return ("measured",)
    return ("published", "measured") if column in measured_columns(table) else ("published",)


def _keep_arrow(head: str) -> str:
    """Keeps an arrow on the line of the word before it."""
    text, _, arrow = head.rpartition(" ")
    return f"{text}\N{NO-BREAK SPACE}{arrow}"


def _row_view(
    table: Table,
    row: Row,
    sides: Mapping[str, tuple[str, ...]],
    measurements: Measurements,
    outcomes: Mapping[str, Outcome],
) -> list[dict[str, Any]]:
    views: list[dict[str, Any]] = []
    for column in table.columns:
        name = f"{row.label}, {column.label}"
        if "published" in sides[column.id]:
            shown = shown_published(table, row, column)
            tip = shown.why or f"published: {table.source}"
            if "measured" not in sides[column.id] and shown.value:
                tip += f"; not measured: {shown_measured(table, row, column).why}"
            views.append({"side": "published", "shown": shown, "tip": f"{name}: {tip}"})
        if "measured" not in sides[column.id]:
            continue
        shown = shown_measured(table, row, column)
        outcome = row.cells[column.id].measured
        tip = shown.why
        if isinstance(outcome, Measured):
            tip = _provenance(outcome, measurements, outcomes)
        views.append({"side": "measured", "shown": shown, "tip": f"{name}: {tip}"})
    return views


def _provenance(cell: Measured, measurements: Measurements, outcomes: Mapping[str, Outcome]) -> str:
    record = outcomes[cell.job].record if cell.job in outcomes else None
    commit = record.commit if record and record.commit else None
    parts = [
        f"{cell.value:.6g}",
        f"{cell.n} {cell.n_of}",
        cell.note,
        f"job {cell.job}; commit {commit[:12] if commit else 'unknown'}",
        f"seed {measurements.preset.sample.seed}",
    ]
    return "; ".join(part for part in parts if part)
