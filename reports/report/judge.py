"""How one claim is judged: a change between rows, correlations, or sharpening."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports.figures.correlation import Correlation, pearson_with_interval
from reports.figures.single_step import Rise, measure_sharpening
from reports.paper.published import PublishedTable, load_published, published_table
from reports.records.figure_records import ATTENTIONS
from reports.records.measurements import Measurements
from reports.records.proxy_record import MARK
from reports.report.claims import FAILS, HOLDS, NOT_RUN, UNDECIDED, Claim, Verdict, load_claims
from reports.tables import TABLES
from reports.tables.cells import Change, Measured
from reports.tables.columns import COLUMNS
from reports.tables.needs import merge_needs
from reports.tables.stand_ins import (
    DRIFT,
    SPEEDS,
    RowRecords,
    change,
    measured,
    proxy_of,
    speed_range,
)
from reports.tables.text import measured_text, percent, published_text, signed

NEEDS_DYNAMICS = "needs records/dynamics.json of a training run"
INTERVAL_HOLDS_0 = "an interval holds 0"


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
    """Resolves `others` to every other row, of the claim's group, with a published number."""
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
    """Says on which side of 0 changes lie, with their whole intervals where they have one."""
    sign = -1 if direction == "lower" else 1
    bounds = [sorted(sign * b for b in (c.interval or (c.value, c.value))) for c in changes]
    if all(low > 0 for low, _ in bounds):
        return HOLDS
    return FAILS if any(high < 0 for _, high in bounds) else UNDECIDED


def weakest(changes: Sequence[Change], direction: str) -> Change:
    """The change that speaks least for its side: the end of its interval decides."""
    sign = -1 if direction == "lower" else 1
    return min(changes, key=lambda c: min(sign * bound for bound in c.interval or (c.value,)))


def _change(claim: Claim, measurements: Measurements) -> Verdict:
    table = published_table(claim.table)
    others = rows_against(claim, table)
    published = {row.id: row.values[claim.column] for row in table.rows}
    values = {row: value for row in (claim.row, *others) if (value := published[row]) is not None}
    paper = _words(claim, [values[claim.row]], [values[row] for row in others],
                   [Change(value=values[claim.row] / values[row] - 1) for row in others],
                   published=True)  # fmt: skip
    spec = TABLES[claim.table]
    records = {row: spec.records(measurements, row) for row in (claim.row, *others)}
    labels = {row.id: row.label for row in table.rows}
    missing = {
        row: reason
        for row, found in records.items()
        if (reason := _why_missing(found, claim, measurements))
    }
    if missing:
        why = _why_not_run(missing, len(records), labels)
        return Verdict(claim=claim, verdict=NOT_RUN, paper=paper, why=why)
    found = {row: r for row, r in records.items() if isinstance(r, RowRecords)}
    ours = found[claim.row]
    order = ours.bench.order if ours.bench else ""
    if claim.order and order != claim.order:
        why = f"needs the order {claim.order}; measured was {order}"
        return Verdict(claim=claim, verdict=NOT_RUN, paper=paper, why=why)
    is_speed = claim.column in SPEEDS
    compare = speed_range if is_speed else change
    changes = {row: compare(ours, found[row], claim.column) for row in others}
    known = [c for c in changes.values() if c is not None]
    if len(known) < len(others):
        why = "a number to compare with is 0"
        return Verdict(claim=claim, verdict=UNDECIDED, paper=paper, why=why)
    numbers = {
        row: cell.value
        for row, r in found.items()
        if isinstance(cell := measured(r, claim.column, measurements), Measured)
    }
    said = _words(claim, [numbers[claim.row]], [numbers[row] for row in others], known)
    is_proxy = any(proxy_of(r, claim.column) for r in found.values())
    if is_proxy:
        said += f", {MARK}"
    if (is_proxy or claim.column == DRIFT) and any(c.interval is None for c in known):
        return Verdict(claim=claim, verdict=UNDECIDED, paper=paper, measured=said,
                       why="a change has no interval: fewer than two videos in common, or a mean "
                       "that may be 0")  # fmt: skip
    if is_speed and ours.bench and ours.bench.ranks > 1:
        said += f", over {ours.bench.ranks} processes"
    verdict = side(known, claim.direction)
    holds_0 = "repeats lie on both sides" if is_speed else INTERVAL_HOLDS_0
    why = holds_0 if verdict == UNDECIDED else ""
    return Verdict(claim=claim, verdict=verdict, paper=paper, measured=said, why=why)


def _why_not_run(missing: Mapping[str, str], total: int, labels: Mapping[str, str]) -> str:
    needs = "; ".join(dict.fromkeys(merge_needs(reason) for reason in missing.values()))
    if len(missing) > 2:
        return f"no number for {len(missing)} of {total} rows: {needs}"
    return f"no number for {' and '.join(labels[row] for row in missing)}: {needs}"


def _why_missing(records: RowRecords | str, claim: Claim, measurements: Measurements) -> str:
    if isinstance(records, str):
        return records
    cell = measured(records, claim.column, measurements)
    return "" if isinstance(cell, Measured) else cell.reason


def _words(
    claim: Claim,
    ours: Sequence[float],
    others: Sequence[float],
    changes: Sequence[Change],
    *,
    published: bool = False,
) -> str:
    """Says values and their change: `0.257 against 0.355 (−27.6 %)`, or a range of several."""
    column = COLUMNS[claim.column]

    def show(value: float) -> str:
        return published_text(value, column) if published else measured_text(value, column)

    shown = [show(value) for value in (min(others), max(others))]
    against = shown[0] if len(set(shown)) == 1 else f"{shown[0]} to {shown[1]}"
    text = f"{show(ours[0])} against {against}"
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
    """All must lie on one side of 0, with their intervals."""
    changes = [Change(value=c.r or 0.0, interval=c.interval) for c in found]
    return _by_intervals(claim, paper, changes, direction, said, "too few points, or all alike")


def _by_intervals(
    claim: Claim, paper: str, changes: Sequence[Change], direction: str, said: str, without: str
) -> Verdict:
    """All must lie on one side of 0 with their intervals; `without` is why one has none."""
    if any(change.interval is None for change in changes):
        return Verdict(claim=claim, verdict=UNDECIDED, paper=paper, measured=said, why=without)
    verdict = side(changes, direction)
    why = INTERVAL_HOLDS_0 if verdict == UNDECIDED else ""
    return Verdict(claim=claim, verdict=verdict, paper=paper, measured=said, why=why)


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
