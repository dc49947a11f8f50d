"""What is measured for a row of a table: a run and an order of this preset, or a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.plan.jobs import BENCH_NAME, proxies_name, score_name
from reports.records.measurements import Measurements, paired_change_ci
from reports.records.proxy_record import ProxyRecord, ProxyValue
from reports.records.records import BenchRecord, DriftRecord
from reports.records.vbench_record import VBENCH_PREFIX, VBenchRecord
from reports.tables.cells import NEEDS_VBENCH, Change, Measured, NotRun

DRIFT = "drift"
SPEEDS = {"throughput_fps": -1, "latency_s": 1}
"""Columns of time, with the power of a video's seconds that each goes with."""


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """What is run for a row.

    Attributes:
        orders: Its orders in the speed measurement, the first that was timed counts; none where
            the table has no speed.
        origin: What it is, in the words of the table's last column.
    """

    run: str
    orders: tuple[str, ...] = ()
    origin: str


StandIns = Mapping[str, Mapping[str, StandIn]]
"""By scale of the preset (`tiny`, `paper`), then by row id."""


@dataclass(frozen=True, kw_only=True)
class RowRecords:
    """The records behind a row; a column without one says why in `reasons`."""

    origin: str
    job: str
    drift: DriftRecord | None
    vbench: VBenchRecord | None
    bench: BenchRecord | None
    reasons: Mapping[str, str]
    proxies: ProxyRecord | None = None
    run: str = ""


def row_records(
    measurements: Measurements, stand_ins: StandIns, row_id: str, no_run: str
) -> RowRecords | str:
    """Finds what was measured for a row: a trained model's record first, else the stand-in's runs.

    Returns:
        The records, or why there is none (`no_run`, where this preset has no run for the row).
    """
    variant = measurements.variants.get(row_id)
    if variant is not None:
        return RowRecords(
            origin=variant.what,
            job=f"record variants/{row_id}",
            drift=variant.drift,
            vbench=variant.vbench,
            bench=None,
            reasons={"bench": "a trained variant is not timed", "vbench": NEEDS_VBENCH},
        )
    stand_in = stand_ins.get(measurements.preset.scale, {}).get(row_id)
    if stand_in is None:
        return no_run
    job = score_name(stand_in.run)
    return RowRecords(
        origin=stand_in.origin,
        job=job,
        drift=measurements.drifts.get(stand_in.run),
        vbench=measurements.vbench.get(stand_in.run),
        proxies=measurements.proxies.get(stand_in.run),
        run=stand_in.run,
        bench=next(
            (measurements.bench[o] for o in stand_in.orders if o in measurements.bench), None
        ),
        reasons={
            DRIFT: measurements.why(job),
            "bench": measurements.why(BENCH_NAME),
            "vbench": _why_no_vbench(measurements, proxies_name(stand_in.run)),
        },
    )


def _why_no_vbench(measurements: Measurements, proxies: str) -> str:
    """A stand-in's job that failed is named; else VBench itself is what is missing."""
    return measurements.why(proxies) if proxies in measurements.failures else NEEDS_VBENCH


def measured(records: RowRecords, column: str, measurements: Measurements) -> Measured | NotRun:
    """Returns a column's number for a row, or why there is none."""
    scale = measurements.preset.scale
    if column == DRIFT:
        if records.drift is None:
            return NotRun(reason=records.reasons[DRIFT])
        return Measured(
            value=records.drift.value, n=records.drift.videos, n_of="videos",
            interval=records.drift.ci95, job=records.job, scale=scale,
        )  # fmt: skip
    if column.startswith(VBENCH_PREFIX):
        return _vbench(records, column, scale)
    if records.bench is None:
        return NotRun(reason=records.reasons["bench"])
    return Measured(
        value=getattr(records.bench, column), n=records.bench.repeats, n_of="repeats",
        interval=None, job=BENCH_NAME, scale=scale, note=_speed_note(records.bench),
    )  # fmt: skip


def _speed_note(bench: BenchRecord) -> str:
    note = f"order {bench.order}"
    if bench.ranks > 1:
        note += f" over {bench.ranks} processes"
    if bench.seconds_range is not None:
        low, high = (100 * (bound - 1) for bound in bench.seconds_range)
        note += f", repeats from {low:+.0f} % to {high:+.0f} % of the median time"
    return note


def _vbench(records: RowRecords, column: str, scale: str) -> Measured | NotRun:
    proxy = proxy_of(records, column)
    if proxy is not None:
        return Measured(
            value=proxy.mean, n=len(proxy.videos), n_of="videos", interval=proxy.ci95,
            job=proxies_name(records.run), scale=scale, note=proxy.note, is_proxy=True,
        )  # fmt: skip
    if records.vbench is None:
        return NotRun(reason=records.reasons["vbench"])
    value = records.vbench.score(column)
    if value is None:
        return NotRun(reason=f"VBench ran without {', '.join(records.vbench.missing)}")
    return Measured(
        value=value, n=1, n_of="VBench run", interval=None, job=records.job, scale=scale
    )


def change(ours: RowRecords, theirs: RowRecords, column: str) -> Change | None:
    """Returns the relative change of a column between two rows, where both have a number.

    The interval of drift, and of a proxy, is a paired bootstrap over videos. A speed has none (its
    spread over repeats is in the cell's note), and a VBench score has none: upstream gives one
    number.
    """
    if column == DRIFT:
        return _drift_change(ours.drift, theirs.drift)
    proxies = [proxy_of(records, column) for records in (ours, theirs)]
    if proxies[0] is not None and proxies[1] is not None:
        return _proxy_change(proxies[0], proxies[1])
    if column.startswith(VBENCH_PREFIX):
        pair = [r.vbench.score(column) if r.vbench else None for r in (ours, theirs)]
        return None if pair[0] is None or not pair[1] else Change(value=pair[0] / pair[1] - 1)
    return _speed_change(ours.bench, theirs.bench, column)


def speed_range(ours: RowRecords, theirs: RowRecords, column: str) -> Change | None:
    """The change of a speed between two rows, from its slowest to its fastest pair of repeats.

    Returns:
        A change whose bounds hold all repeats; no bounds where a row was timed once.
    """
    found = _speed_change(ours.bench, theirs.bench, column)
    if found is None or ours.bench is None or theirs.bench is None:
        return found
    mine, other = ours.bench.seconds_range, theirs.bench.seconds_range
    if mine is None or other is None:
        return found
    ratios = (mine[0] / other[1], mine[1] / other[0])  # our fastest by their slowest, and so on
    low, high = sorted((1 + found.value) * ratio ** SPEEDS[column] - 1 for ratio in ratios)
    return Change(value=found.value, interval=(low, high))


def proxy_of(records: RowRecords, column: str) -> ProxyValue | None:
    """Returns the proxy in a column of VBench, where VBench itself was not run."""
    if records.vbench is not None or records.proxies is None:
        return None
    return records.proxies.column(column)


def _proxy_change(ours: ProxyValue, theirs: ProxyValue) -> Change | None:
    if theirs.mean == 0:
        return None
    interval = paired_change_ci(ours.videos, theirs.videos)
    return Change(value=ours.mean / theirs.mean - 1, interval=interval)


def _drift_change(ours: DriftRecord | None, theirs: DriftRecord | None) -> Change | None:
    if ours is None or theirs is None or theirs.value == 0:
        return None
    return Change(
        value=ours.value / theirs.value - 1,
        interval=paired_change_ci(ours.video_scores, theirs.video_scores),
    )


def _speed_change(
    ours: BenchRecord | None, theirs: BenchRecord | None, column: str
) -> Change | None:
    if ours is None or theirs is None:
        return None
    return Change(value=getattr(ours, column) / getattr(theirs, column) - 1)
