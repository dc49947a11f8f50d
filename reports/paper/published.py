"""The paper's own numbers; published values enter tables from here only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """A row of a published table; `values` holds None where the paper prints a dash."""

    id: str
    label: str
    group: str | None
    values: dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """A published table with its caption; columns and rows in the paper's order."""

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[PublishedRow, ...]
    source: str

    def row(self, row_id: str) -> PublishedRow:
        """Returns the row with that id."""
        return next(row for row in self.rows if row.id == row_id)


@cache
def load_published() -> dict[str, Any]:
    """Reads paper_numbers.json without interpreting it."""
    text = files("reports").joinpath("paper/paper_numbers.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def is_published(name: str) -> bool:
    """Returns whether the paper has a table of that name."""
    table = load_published().get(name)
    return isinstance(table, dict) and "columns" in table


def published_rows() -> frozenset[str]:
    """Returns the ids of the rows of all published tables."""
    names = filter(is_published, load_published())
    return frozenset(row.id for name in names for row in published_table(name).rows)


def published_table(name: str) -> PublishedTable:
    """Returns one published table, `table1`, `table2` or `table3`."""
    data = load_published()
    table = data[name]
    columns = tuple(table["columns"])
    groups = table.get("groups") or [{"name": None, "rows": table["rows"]}]
    rows = tuple(
        PublishedRow(
            id=row.get("model") or row["config"],
            label=row["label"],
            group=group["name"],
            values=dict(zip(columns, row["values"], strict=True)),
        )
        for group in groups
        for row in group["rows"]
    )
    return PublishedTable(
        name=name, caption=table["caption"], columns=columns, rows=rows, source=data["source"]
    )
