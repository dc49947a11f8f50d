"""Relative changes of a number between two rows, with the interval that their records allow."""

from __future__ import annotations

from reports.records.drift_record import DriftRecord
from reports.records.measurements import paired_change_ci
from reports.records.speed_records import BenchRecord
from reports.records.vbench_records import VBENCH_PREFIX, ProxyValue
from reports.tables.cells import Change
from reports.tables.row_sources import DRIFT, RowRecords

SPEEDS = {"throughput_fps": -1, "latency_s": 1}
"""Speed columns and the power of the measured seconds that each goes with: 1/s or s."""


def change(ours: RowRecords, theirs: RowRecords, column: str) -> Change | None:
    """Returns the relative change of a column between two rows, where both have a number.

    The interval of drift, and of a proxy, is a paired bootstrap over videos, and over trainings too
    where a study has several. A speed has none (its spread over repeats is in the cell's note), and
    a VBench score has none: upstream gives one number.
    """
    if ours.study is not None and ours.study is theirs.study and ours.study_measure(column):
        return _change_over_trainings(ours, theirs, column)
    if column == DRIFT:
        return _drift_change(ours.drift, theirs.drift)
    proxies = [records.proxy(column) for records in (ours, theirs)]
    if proxies[0] is not None and proxies[1] is not None:
        return _proxy_change(proxies[0], proxies[1])
    if column.startswith(VBENCH_PREFIX):
        pair = [r.vbench.score(column) if r.vbench else None for r in (ours, theirs)]
        return None if pair[0] is None or not pair[1] else Change(value=pair[0] / pair[1] - 1)
    return _speed_change(ours.bench, theirs.bench, column)


def speed_range(ours: RowRecords, theirs: RowRecords, column: str) -> Change | None:
    """Returns the change of a speed between two rows, bounded by all pairs of their repeats.

    Returns:
        A change whose bounds hold all pairs of repeats; no bounds where a row was timed once.
    """
    found = _speed_change(ours.bench, theirs.bench, column)
    if found is None or ours.bench is None or theirs.bench is None:
        return found
    mine, other = ours.bench.seconds_range, theirs.bench.seconds_range
    if mine is None or other is None:
        return found
    # Our fastest repeat by their slowest, and our slowest by their fastest.
    ratios = (mine[0] / other[1], mine[1] / other[0])
    low, high = sorted((1 + found.value) * ratio ** SPEEDS[column] - 1 for ratio in ratios)
    return Change(value=found.value, interval=(low, high))


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


def _change_over_trainings(ours: RowRecords, theirs: RowRecords, column: str) -> Change:
    assert ours.study is not None
    value, interval = ours.study.change(
        ours.study_row, theirs.study_row, ours.study_measure(column)
    )
    return Change(value=value, interval=interval)


def _speed_change(
    ours: BenchRecord | None, theirs: BenchRecord | None, column: str
) -> Change | None:
    if ours is None or theirs is None:
        return None
    return Change(value=getattr(ours, column) / getattr(theirs, column) - 1)
