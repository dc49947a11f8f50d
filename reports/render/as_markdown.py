"""Renders tables as Markdown, and as plain text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby

from reports.tables.cells import Column, Row, Table
from reports.tables.text import (
    Shown,
    heading,
    legend,
    measured_columns,
    shared_legend,
    shown_measured,
    shown_published,
)


def to_markdown(table: Table) -> str:
    """Renders a table: published and measured columns side by side, notes below."""
    measured = measured_columns(table)
    heads = ["", *_heads(table, measured), "measured with"]
    align = ["---", *["---:"] * (len(heads) - 2), "---"]
    lines = [f"## {table.title}", "", _line(heads), _line(align)]
    for group, rows in groupby(table.rows, key=lambda row: row.group):
        if group:
            lines.append(_line([f"*{group}*", *[""] * (len(heads) - 1)]))
        lines += [_line(_cells(table, row, measured)) for row in rows]
    lines += ["", *(f"- {note}" for note in legend(table)), ""]
    return "\n".join(lines)


def _heads(table: Table, measured: list[Column]) -> list[str]:
    heads = []
    for column in table.columns:
        heads.append(f"{heading(column)} published")
        if column in measured:
            heads.append(f"{column.label} measured")
    return heads


def _cells(table: Table, row: Row, measured: list[Column]) -> list[str]:
    cells = [_escape(row.label)]
    for column in table.columns:
        cells.append(_bold(shown_published(table, row, column)))
        if column in measured:
            cells.append(_bold(shown_measured(table, row, column)))
    return [*cells, _escape(row.origin)]


def _bold(shown: Shown) -> str:
    text = shown.text()
    return text.replace(shown.value, f"**{shown.value}**", 1) if shown.best else text


def _escape(text: str) -> str:
    for char in "\\|*_<":
        text = text.replace(char, f"\\{char}")
    return text


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def to_terminal(tables: Sequence[Table]) -> str:
    """Renders tables for a terminal: a block for each measured column, shared notes at the end."""
    shared = shared_legend(tables, best_mark="*")
    lines: list[str] = []
    for table in tables:
        lines += [table.title, *_blocks(table), ""]
        lines += _wrapped(line for line in legend(table, best_mark="*") if line not in shared)
        lines.append("")
    return "\n".join([*lines, *(["All tables", *_wrapped(shared)] if tables else []), ""])


def _blocks(table: Table) -> list[str]:
    lines = []
    width = max(len(row.label) for row in table.rows)
    for column in measured_columns(table):
        lines += ["", f"  {heading(column):<{width + 2}} {'published':>17}   measured"]
        for row in table.rows:
            shown = shown_measured(table, row, column)
            text = f"({shown.why})" if shown.why else shown.text() + " *" * shown.best
            published = shown_published(table, row, column).text()
            lines.append(f"    {row.label:<{width}} {published:>17}   {text}")
    return lines


def _wrapped(notes: Iterable[str]) -> list[str]:
    return [
        textwrap.fill(note, 98, initial_indent="  - ", subsequent_indent="    ") for note in notes
    ]
