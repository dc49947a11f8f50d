"""How every table is built: published rows and columns as they stand, each cell with its number."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reports.paper.published import published_table
from reports.records.measurements import Measurements
from reports.records.vbench_record import VBENCH_PREFIX
from reports.tables.cells import NEEDS_VBENCH, Cell, Change, NotRun, Row, Table
from reports.tables.columns import COLUMNS
from reports.tables.stand_ins import RowRecords, StandIns, change, measured, row_records


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """A line of the registry: which runs a table reads, and what its rows are.

    Attributes:
        name: Its name in paper_numbers.json.
        stand_ins: What is measured for a row, by scale and row id.
        needs: Why a row without a stand-in has no run, by row id.
        reference: Row id that changes are relative to.
        bench: Whether it reads the speed measurement.
        bold_groups: Groups whose best published number the paper sets in bold.
        extra: Label by row id of rows that the paper does not have.
        notes: What a reader must know besides the preset's caption, by scale.
    """

    name: str
    stand_ins: StandIns
    needs: Callable[[str], str]
    reference: str
    bench: bool = False
    bold_groups: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def runs(self, scale: str) -> tuple[str, ...]:
        """Names the runs that the table reads at a scale."""
        return tuple(stand_in.run for stand_in in self.stand_ins.get(scale, {}).values())

    def run(self, measurements: Measurements, row_id: str) -> str | None:
        """Names the run that is measured for a row, None where this preset has none."""
        stand_in = self.stand_ins.get(measurements.preset.scale, {}).get(row_id)
        return stand_in.run if stand_in else None

    def records(self, measurements: Measurements, row_id: str) -> RowRecords | str:
        """Returns the records behind a row, or why there is none."""
        return row_records(measurements, self.stand_ins, row_id, self.needs(row_id))

    def build(self, measurements: Measurements) -> Table:
        """Builds the table from what was measured."""
        published = published_table(self.name)
        scale = measurements.preset.scale
        rows = [row.id for row in published.rows]
        rows += [row_id for row_id in self.extra if row_id in self.stand_ins.get(scale, {})]
        return Table(
            name=self.name,
            caption=published.caption,
            source=published.source,
            scale=scale,
            columns=tuple(COLUMNS[column] for column in published.columns),
            rows=tuple(self._row(measurements, row_id) for row_id in rows),
            reference=self.reference,
            reference_label="block-first (Self-Forcing)",
            bold_groups=self.bold_groups,
            notes=self.notes.get(scale, ()),
            shared_notes=measurements.notes(),
        )

    def _row(self, measurements: Measurements, row_id: str) -> Row:
        published = published_table(self.name)
        paper = next((row for row in published.rows if row.id == row_id), None)
        records = self.records(measurements, row_id)
        return Row(
            id=row_id,
            label=paper.label if paper else self.extra[row_id],
            group=paper.group if paper else None,
            stand_in=isinstance(records, RowRecords),
            origin=records.origin if isinstance(records, RowRecords) else records,
            cells={
                column: Cell(
                    published=paper.values[column] if paper else None,
                    measured=measured(records, column, measurements)
                    if isinstance(records, RowRecords)
                    else NotRun(reason=_and_vbench(records, column)),
                )
                for column in published.columns
            },
            changes=self._changes(measurements, row_id),
            in_paper=paper is not None,
        )

    def _changes(self, measurements: Measurements, row_id: str) -> dict[str, Change]:
        ours, theirs = (self.records(measurements, name) for name in (row_id, self.reference))
        if row_id == self.reference or isinstance(ours, str) or isinstance(theirs, str):
            return {}
        relative = [c for c in published_table(self.name).columns if COLUMNS[c].relative]
        found = {column: change(ours, theirs, column) for column in relative}
        return {column: value for column, value in found.items() if value is not None}


def _and_vbench(reason: str, column: str) -> str:
    return f"{reason}, {NEEDS_VBENCH}" if column.startswith(VBENCH_PREFIX) else reason
