"""What the two ablation tables share: rows that stand for a run, or for training not done."""

from collections.abc import Mapping

from reports.cells import NEEDS_VBENCH, Cell, Measured, NotRun, Row, Table
from reports.measurements import Measurements
from reports.published import published_table
from reports.tables.columns import COLUMNS


def build_ablation(
    name: str,
    measurements: Measurements,
    *,
    stand_ins: Mapping[str, tuple[str, str]],
    reference: str,
    untrained: str,
    extra: Mapping[str, str],
    notes: tuple[str, ...],
) -> Table:
    """Builds an ablation table.

    Args:
        name: Its name in paper_numbers.json.
        measurements: What was measured.
        stand_ins: By row id: the run that is measured for it, and what that run is.
        reference: Row id, with a stand-in, that changes are relative to.
        untrained: Why rows without a stand-in were not run.
        extra: Label by row id of rows that the paper does not have.
        notes: What a reader must know besides the preset's caption.
    """
    published = published_table(name)
    papers = {row.id: row for row in published.rows}

    def measured(row_id: str, column: str) -> Measured | NotRun:
        reasons = [] if row_id in stand_ins else [untrained]
        reasons += [NEEDS_VBENCH] if column.startswith("vbench_") else []
        if reasons:
            return NotRun(reason=", ".join(reasons))
        return measurements.drift(stand_ins[row_id][0])

    def row(row_id: str) -> Row:
        paper = papers.get(row_id)
        change = None
        if row_id in stand_ins:
            change = measurements.drift_change(stand_ins[row_id][0], stand_ins[reference][0])
        return Row(
            id=row_id,
            label=paper.label if paper else extra[row_id],
            group=None,
            stand_in=row_id in stand_ins,
            origin=stand_ins[row_id][1] if row_id in stand_ins else untrained,
            cells={
                column: Cell(
                    published=paper.values[column] if paper else None,
                    measured=measured(row_id, column),
                )
                for column in published.columns
            },
            changes={"drift": change} if change else {},
            in_paper=paper is not None,
        )

    return Table(
        name=name,
        caption=published.caption,
        source=published.source,
        scale=measurements.preset.scale,
        columns=tuple(COLUMNS[column] for column in published.columns),
        rows=tuple(row(row_id) for row_id in [*papers, *extra]),
        reference=reference,
        reference_label="block-first (Self-Forcing)",
        notes=notes,
        shared_notes=measurements.notes(),
    )
