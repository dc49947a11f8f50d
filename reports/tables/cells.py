"""A table as data: a published number and a measured one stand side by side, never mixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reports.tables.needs import NotRun

TABLE_SCHEMA = "reports-table/1"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A number that this reproduction measured.

    Attributes:
        n: Number of things that the value is a mean or median over; `n_of` names them.
        interval: 95 % interval, None where none was measured.
        job: The job whose output holds the number.
        scale: `tiny` or `paper`; only the latter may be compared with a published number.
        note: How the number was measured, where the column alone does not say it.
        is_proxy: Whether a proxy was measured in place of what the column names.
    """

    value: float
    n: int
    n_of: str
    interval: tuple[float, float] | None
    job: str
    scale: str
    note: str = ""
    is_proxy: bool = False

    @property
    def mark(self) -> str:
        """What is printed beside the number: `tiny`, `tiny proxy`, nothing at the paper's scale."""
        if self.scale == "paper":
            return ""
        return f"{self.scale} proxy" if self.is_proxy else self.scale


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One row and column: `published` is None where the paper prints a dash or has no such row."""

    published: float | None
    measured: Measured | NotRun

    @property
    def difference(self) -> float | None:
        """Measured minus published, at the paper's own scale only."""
        if not isinstance(self.measured, Measured) or self.measured.scale != "paper":
            return None
        return None if self.published is None else self.measured.value - self.published


@dataclass(frozen=True, kw_only=True)
class Change:
    """A relative change against the reference row, 0.1 for 10 % more, with a 95 % interval."""

    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column.

    Attributes:
        better: Direction of a better value, `higher` or `lower`.
        decimals: Decimals that the paper prints.
        measured_decimals: Decimals of measured numbers, where they need more or fewer.
        relative: Whether the table gives changes against the reference row.
    """

    id: str
    label: str
    unit: str
    better: str
    decimals: int
    measured_decimals: int | None = None
    relative: bool = False

    def best(self, values: Mapping[str, float]) -> str:
        """Returns the key of the best value."""
        pick = min if self.better == "lower" else max
        return pick(values, key=lambda key: values[key])


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row.

    Attributes:
        has_source: Whether something is measured for the row; otherwise no cell can have a number.
        origin: What is measured for the row, or why nothing is.
        cells: Cells by column id.
        changes: Measured changes against the reference row, by column id.
        in_paper: False for a row that the paper does not have.
    """

    id: str
    label: str
    group: str | None
    has_source: bool
    origin: str
    cells: dict[str, Cell]
    changes: dict[str, Change] = field(default_factory=dict)
    in_paper: bool = True


@dataclass(frozen=True, kw_only=True)
class Table:
    """A finished table, ready for any renderer.

    Attributes:
        name: Such as `table1`.
        reference: Id of the row that changes are relative to.
        reference_label: Name of that row in the legend.
        bold_groups: Groups of rows whose best published number the paper prints in bold.
        notes: What a reader must know about this table; one sentence or more each.
        shared_notes: Notes that hold for all tables of a reproduction.
    """

    name: str
    caption: str
    source: str
    scale: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    reference: str
    reference_label: str
    notes: tuple[str, ...]
    shared_notes: tuple[str, ...]
    bold_groups: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Number and caption, such as `Table 1. Quantitative comparison`, or the caption alone."""
        number = self.name.removeprefix("table")
        return f"Table {number}. {self.caption}" if number.isdigit() else self.caption

    def row(self, row_id: str) -> Row:
        """Returns the row with that id."""
        return next(row for row in self.rows if row.id == row_id)

    def published_change(self, row: Row, column: Column) -> Change | None:
        """Returns the published change of a row against the reference row."""
        ours = row.cells[column.id].published
        theirs = self.row(self.reference).cells[column.id].published
        if ours is None or not theirs or row.id == self.reference:
            return None
        return Change(value=ours / theirs - 1)

    def best(self, column: Column) -> str | None:
        """Returns the id of the row with the best measured value, None with fewer than two."""
        values = {
            row.id: cell.measured.value
            for row in self.rows
            if isinstance((cell := row.cells[column.id]).measured, Measured)
        }
        return column.best(values) if len(values) > 1 else None

    def published_best(self, column: Column) -> str | None:
        """Returns the id of the row whose published number the paper sets in bold."""
        values = {
            row.id: value
            for row in self.rows
            if row.group in self.bold_groups
            and (value := row.cells[column.id].published) is not None
        }
        return column.best(values) if values else None

    def why_not(self, column: Column) -> str | None:
        """Says why a column holds no measured number at all, None where it holds one."""
        outcomes = [row.cells[column.id].measured for row in self.rows if row.has_source]
        if any(isinstance(outcome, Measured) for outcome in outcomes):
            return None
        return next((o.reason for o in outcomes if isinstance(o, NotRun)), "not part of this run")
