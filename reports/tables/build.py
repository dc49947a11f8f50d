"""How every table is built: published rows and columns as they stand, each cell with its number."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from reports.paper.published import PublishedTable, is_published, published_table
from reports.records.measurements import Measurements
from reports.records.vbench_records import VBENCH_PREFIX
from reports.tables.cells import Cell, Change, Row, Table
from reports.tables.changes import change
from reports.tables.columns import COLUMNS
from reports.tables.needs import VBENCH, Need, NotRun
from reports.tables.row_sources import RowRecords, RowSources, measured, row_records

BLOCK_FIRST = "block-first (Self-Forcing)"
NOT_IN_PAPER = "not in the paper"


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """A line of the registry: which runs a table reads, and what its rows are.

    Attributes:
        name: Name of the table, such as `table2`; the paper's own stand in paper_numbers.json.
        caption: Caption of a table that the paper does not have.
        columns: Ids of that table's columns, from `COLUMNS`.
        sources: What is measured for each row, by scale and row id.
        needs: Function from a row id to what a run for that row would need; it is asked for rows
            without a source.
        reference: Id of the row that changes are relative to.
        reference_label: Name of that row in the legend.
        bench: Whether the table reads the speed measurement.
        study: Study whose record the table reads at the tiny scale, `mechanism` or `students`;
            empty for none.
        bold_groups: Groups of rows whose best published number the paper prints in bold.
        extra: Labels, by row id, of rows that the paper does not have: all of them, in a table of
            one's own.
        notes: What a reader must know besides the preset's caption, by scale.
    """

    name: str
    sources: RowSources
    needs: Callable[[str], tuple[Need, ...]]
    reference: str
    reference_label: str = BLOCK_FIRST
    caption: str = ""
    columns: tuple[str, ...] = ()
    bench: bool = False
    study: str = ""
    bold_groups: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if is_published(self.name) == bool(self.columns):
            raise ValueError(
                f"table {self.name!r}: give `columns` and `caption` where paper_numbers.json has "
                "no table of that name, and only there"
            )
        unknown = set(self.columns) - COLUMNS.keys()
        if unknown:
            raise ValueError(f"table {self.name!r}: add {unknown} to reports/tables/columns.py")

    @property
    def published(self) -> PublishedTable:
        """The paper's table, or one without rows where the paper has none."""
        if not self.columns:
            return published_table(self.name)
        return PublishedTable(
            name=self.name, caption=self.caption, columns=self.columns, rows=(), source=NOT_IN_PAPER
        )

    def label(self, row_id: str) -> str:
        """Returns the label of a row."""
        return self.extra.get(row_id) or self.published.row(row_id).label

    def runs(self, scale: str) -> tuple[str, ...]:
        """Names the runs that the table reads at a scale."""
        return tuple(source.run for source in self.sources.get(scale, {}).values())

    def row_ids(self, scale: str) -> tuple[str, ...]:
        """Names the rows at a scale: the paper's, then further ones that have a source there."""
        further = [row_id for row_id in self.extra if row_id in self.sources.get(scale, {})]
        return (*(row.id for row in self.published.rows), *further)

    def run(self, measurements: Measurements, row_id: str) -> str | None:
        """Names the run that is measured for a row, None where this preset has none."""
        source = self.sources.get(measurements.preset.scale, {}).get(row_id)
        return source.run if source else None

    def records(self, measurements: Measurements, row_id: str) -> RowRecords | NotRun:
        """Returns the records behind a row, or why there is none."""
        return row_records(measurements, self.sources, row_id, NotRun(needs=self.needs(row_id)))

    def build(self, measurements: Measurements) -> Table:
        """Builds the table from what was measured."""
        published = self.published
        scale = measurements.preset.scale
        return Table(
            name=self.name,
            caption=published.caption,
            source=published.source,
            scale=scale,
            columns=tuple(COLUMNS[column] for column in published.columns),
            rows=tuple(self._row(measurements, row_id) for row_id in self.row_ids(scale)),
            reference=self.reference,
            reference_label=self.reference_label,
            bold_groups=self.bold_groups,
            notes=self.notes.get(scale, ()),
            shared_notes=measurements.notes(),
        )

    def _row(self, measurements: Measurements, row_id: str) -> Row:
        published = self.published
        paper = next((row for row in published.rows if row.id == row_id), None)
        records = self.records(measurements, row_id)
        return Row(
            id=row_id,
            label=self.label(row_id),
            group=paper.group if paper else None,
            has_source=isinstance(records, RowRecords),
            origin=records.origin if isinstance(records, RowRecords) else records.reason,
            cells={
                column: Cell(
                    published=paper.values[column] if paper else None,
                    measured=measured(records, column, measurements)
                    if isinstance(records, RowRecords)
                    else _and_vbench(records, column),
                )
                for column in published.columns
            },
            changes=self._changes(measurements, row_id),
            in_paper=paper is not None,
        )

    def _changes(self, measurements: Measurements, row_id: str) -> dict[str, Change]:
        ours, theirs = (self.records(measurements, name) for name in (row_id, self.reference))
        if row_id == self.reference or isinstance(ours, NotRun) or isinstance(theirs, NotRun):
            return {}
        relative = [c for c in self.published.columns if COLUMNS[c].relative]
        found = {column: change(ours, theirs, column) for column in relative}
        return {column: value for column, value in found.items() if value is not None}


def _and_vbench(outcome: NotRun, column: str) -> NotRun:
    """A column of VBench needs VBench too, besides what the row's run needs."""
    if not column.startswith(VBENCH_PREFIX):
        return outcome
    return replace(outcome, needs=(*outcome.needs, VBENCH))
