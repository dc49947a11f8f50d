"""Judges the paper's claims: changes between rows, correlations, and sharpening."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports.figures.correlation import Correlation, pearson_with_interval
from reports.figures.single_step import Rise, measure_sharpening
from reports.paper.published import PublishedTable, load_published
from reports.records.figure_records import ATTENTIONS
from reports.records.measurements import Measurements
from reports.records.vbench_records import MARK
from reports.report.claims import FAILS, HOLDS, NOT_RUN, UNDECIDED, Claim, Verdict, load_claims
from reports.tables import TABLES
from reports.tables.build import TableSpec
from reports.tables.cells import Change, Measured
from reports.tables.changes import SPEEDS, change, speed_range
from reports.tables.columns import COLUMNS
from reports.tables.needs import NotRun
from reports.tables.row_sources import DRIFT, RowRecords, measured
from reports.tables.text import measured_text, percent, published_text, signed

NEEDS_DYNAMICS = "needs records/dynamics.json of a training run"
INTERVAL_HOLDS_0 = "an interval holds 0"
RULED_OUT = "; a change as large as the paper's is ruled out"


def judge_claims(measurements: Measurements) -> list[Verdict]:
    """Judges every claim that ships with the package."""
    return [judge(claim, measurements) for claim in load_claims()]


def judge(claim: Claim, measurements: Measurements) -> Verdict:
    """Judges a claim by what was measured."""
    by_kind = {
        "change": _change, "correlation": _correlation, "decline": _decline,
        "sharpening": _sharpening,
    }  # fmt: skip
    return by_kind[claim.kind](claim, measurements)


def rows_against(claim: Claim, table: PublishedTable) -> list[str]:
    """Returns the rows to compare with; `others` are all of the group with a published number."""
    if claim.against != ("others",):
        return list(claim.against)
    return [
        row.id
        for row in table.rows
        if row.id != claim.row
        and row.values[claim.column] is not None
        and (not claim.group or row.group == claim.group)
    ]


def side(changes: Sequence[Change], direction: str) -> str:
    """Says whether all changes lie on the claimed side of 0, with the intervals that they have."""
    sign = -1 if direction == "lower" else 1
    bounds = [sorted(sign * b for b in (c.interval or (c.value, c.value))) for c in changes]
    if all(low > 0 for low, _ in bounds):
        return HOLDS
    return FAILS if any(high < 0 for _, high in bounds) else UNDECIDED


def weakest(changes: Sequence[Change], direction: str) -> Change:
    """Returns the change that supports the claim least: the end of its interval decides."""
    sign = -1 if direction == "lower" else 1
    return min(changes, key=lambda c: min(sign * bound for bound in c.interval or (c.value,)))


def is_ruled_out(changes: Sequence[Change], published: Sequence[float], direction: str) -> bool:
    """Says whether each undecided change is smaller than the paper's, by its whole interval."""
    sign = -1 if direction == "lower" else 1
    undecided = [
        (change.interval, paper)
        for change, paper in zip(changes, published, strict=bool(published))
        if change.interval is None or change.interval[0] <= 0 <= change.interval[1]
    ]
    return bool(undecided) and all(
        interval is not None and max(sign * bound for bound in interval) < sign * paper
        for interval, paper in undecided
    )


def _change(claim: Claim, measurements: Measurements) -> Verdict:
    """Judges a change of a column between the claim's row and every row that it names."""
    spec = TABLES[claim.table]
    table = spec.published
    others = rows_against(claim, table)
    paper = claim.paper or _published_words(claim, table, others)
    records = {row: spec.records(measurements, row) for row in (claim.row, *others)}
    cells = {
        row: found if isinstance(found, NotRun) else measured(found, claim.column, measurements)
        for row, found in records.items()
    }
    found = {row: r for row, r in records.items() if isinstance(r, RowRecords)}
    numbers = {row: cell.value for row, cell in cells.items() if isinstance(cell, Measured)}
    why = _why_not_run(spec, cells) or _other_order(claim, found)
    if why:
        return Verdict(claim=claim, verdict=NOT_RUN, paper=paper, why=why)
    compare = speed_range if claim.column in SPEEDS else change
    changes = [compare(found[claim.row], found[row], claim.column) for row in others]
    known = [c for c in changes if c is not None]
    if len(known) < len(changes):
        why = "a number to compare with is 0"
        return Verdict(claim=claim, verdict=UNDECIDED, paper=paper, why=why)
    said = _words(claim, numbers[claim.row], [numbers[row] for row in others], known)
    published = _published_changes(claim, table, others)
    verdict, why = _side_of_rows(claim, found, known)
    same_scale = claim.column not in SPEEDS  # the paper's speed is of four GPUs
    if verdict == UNDECIDED and same_scale and is_ruled_out(known, published, claim.direction):
        why += RULED_OUT
    return Verdict(
        claim=claim, verdict=verdict, paper=paper, measured=said + _marks(claim, found), why=why,
        changes=tuple(known), published=published,
    )  # fmt: skip


def _published_words(claim: Claim, table: PublishedTable, others: Sequence[str]) -> str:
    ours, *theirs = _published_values(claim, table, others)
    changes = [Change(value=ours / value - 1) for value in theirs]
    return _words(claim, ours, theirs, changes, published=True)


def _published_changes(
    claim: Claim, table: PublishedTable, others: Sequence[str]
) -> tuple[float, ...]:
    if claim.paper:
        return ()
    ours, *theirs = _published_values(claim, table, others)
    return tuple(ours / value - 1 for value in theirs)


def _published_values(claim: Claim, table: PublishedTable, others: Sequence[str]) -> list[float]:
    rows = (table.row(row) for row in (claim.row, *others))
    return [value for row in rows if (value := row.values[claim.column]) is not None]


def _why_not_run(spec: TableSpec, cells: Mapping[str, Measured | NotRun]) -> str:
    """Says which rows have no number and what they need; empty when all have one."""
    missing = {row: cell for row, cell in cells.items() if isinstance(cell, NotRun)}
    if not missing:
        return ""
    needs = "; ".join(dict.fromkeys(cell.summary for cell in missing.values()))
    if len(missing) > 2:
        return f"no number for {len(missing)} of {len(cells)} rows: {needs}"
    return f"no number for {' and '.join(map(spec.label, missing))}: {needs}"


def _other_order(claim: Claim, found: Mapping[str, RowRecords]) -> str:
    """Says that another order was timed than the one the claim is about; empty when it was not."""
    bench = found[claim.row].bench
    order = bench.order if bench else ""
    if not claim.order or order == claim.order:
        return ""
    return f"needs the order {claim.order}; measured was {order}"


def _side_of_rows(
    claim: Claim, found: Mapping[str, RowRecords], changes: Sequence[Change]
) -> tuple[str, str]:
    """Returns the verdict of the changes, and why it is undecided where it is."""
    needs_interval = claim.column == DRIFT or _has_proxy(claim, found)
    if needs_interval and any(c.interval is None for c in changes):
        return UNDECIDED, (
            "a change has no interval: fewer than two videos in common, or a mean that may be 0"
        )
    verdict = side(changes, claim.direction)
    if verdict != UNDECIDED:
        return verdict, ""
    return verdict, "repeats lie on both sides" if claim.column in SPEEDS else INTERVAL_HOLDS_0


def _has_proxy(claim: Claim, found: Mapping[str, RowRecords]) -> bool:
    return any(records.has_proxy(claim.column) for records in found.values())


def _marks(claim: Claim, found: Mapping[str, RowRecords]) -> str:
    """What must be said beside a measured change: that it is a proxy's, or over processes."""
    text = f", {MARK}" if _has_proxy(claim, found) else ""
    bench = found[claim.row].bench
    if claim.column in SPEEDS and bench and bench.ranks > 1:
        text += f", over {bench.ranks} processes"
    return text


def _words(
    claim: Claim,
    ours: float,
    others: Sequence[float],
    changes: Sequence[Change],
    *,
    published: bool = False,
) -> str:
    """Words values and their change: `0.257 against 0.355 (−27.6 %)`, or a range of several."""
    column = COLUMNS[claim.column]

    def show(value: float) -> str:
        return published_text(value, column) if published else measured_text(value, column)

    shown = [show(value) for value in (min(others), max(others))]
    against = shown[0] if len(set(shown)) == 1 else f"{shown[0]} to {shown[1]}"
    text = f"{show(ours)} against {against}"
    if len(changes) > 1:
        worst = weakest(changes, claim.direction)
        return text if published else f"{text} (weakest: {percent(worst)})"
    only = changes[0]
    if not claim.factor:
        return f"{text} ({percent(only)})"
    factor = f"{1 + only.value:.2f} times"
    if only.interval is not None:
        factor += " [{:.2f}, {:.2f}]".format(*(1 + bound for bound in only.interval))
    return f"{text} ({factor})"


def _correlation(claim: Claim, measurements: Measurements) -> Verdict:
    paper = f"r = {load_published()['figures']['fig4']['pearson_r']}"
    record = measurements.dynamics
    if record is None:
        return Verdict(claim=claim, verdict=NOT_RUN, paper=paper, why=NEEDS_DYNAMICS)
    points = record.points
    found = pearson_with_interval([p.bidirectional for p in points], [p.causal for p in points])
    return _by_correlations(claim, paper, [found], "higher", found.text())


def _decline(claim: Claim, measurements: Measurements) -> Verdict:
    paper = "shown in a picture, no number"
    record = measurements.dynamics
    if record is None:
        return Verdict(claim=claim, verdict=NOT_RUN, paper=paper, why=NEEDS_DYNAMICS)
    steps = [p.step for p in record.points]
    values = {name: [getattr(p, name) for p in record.points] for name in ATTENTIONS}
    found = {name: pearson_with_interval(steps, values[name]) for name in ATTENTIONS}
    said = "; ".join(
        f"{name} {points[0]:.2f} to {points[-1]:.2f}, with the step {found[name].text()}"
        for name, points in values.items()
    )
    return _by_correlations(claim, paper, list(found.values()), "lower", said)


def _by_correlations(
    claim: Claim, paper: str, found: Sequence[Correlation], direction: str, said: str
) -> Verdict:
    """Judges correlations, which must all lie on one side of 0 with their intervals."""
    changes = [Change(value=c.r or 0.0, interval=c.interval) for c in found]
    return _by_intervals(claim, paper, changes, direction, said, "too few points, or all alike")


def _by_intervals(
    claim: Claim, paper: str, changes: Sequence[Change], direction: str, said: str, without: str
) -> Verdict:
    """Judges changes, which must all lie on one side of 0 with their intervals.

    Args:
        claim: The claim.
        paper: What the paper gives, in words.
        changes: The measured changes.
        direction: Side of 0 that is claimed, `lower` or `higher`.
        said: What was measured, in words.
        without: Why a change has no interval, where one has none.
    """
    if any(change.interval is None for change in changes):
        return Verdict(claim=claim, verdict=UNDECIDED, paper=paper, measured=said, why=without)
    verdict = side(changes, direction)
    why = INTERVAL_HOLDS_0 if verdict == UNDECIDED else ""
    return Verdict(
        claim=claim, verdict=verdict, paper=paper, measured=said, why=why, changes=tuple(changes)
    )


def _sharpening(claim: Claim, measurements: Measurements) -> Verdict:
    paper = "shown in pictures, no number"
    if measurements.strips is None:
        why = "needs records/strips.json of a trained model"
        return Verdict(claim=claim, verdict=NOT_RUN, paper=paper, why=why)
    found = measure_sharpening(measurements.strips)
    parts = {
        "causal": found.causal, "bidirectional": found.bidirectional, "paired": found.difference
    }  # fmt: skip
    shown = ", ".join(
        f"{name} {signed(part.value, 3)}{_bounds(part)}" for name, part in parts.items()
    )
    said = f"ln sharpness rises by {shown}, n = {found.clips} clips"
    changes = [Change(value=p.value, interval=p.interval) for p in (found.causal, found.difference)]
    without = "one prompt has no interval; two are needed"
    return _by_intervals(claim, paper, changes, "higher", said, without)


def _bounds(rise: Rise) -> str:
    if rise.interval is None:
        return ""
    return f" [{', '.join(signed(bound, 3) for bound in rise.interval)}]"
