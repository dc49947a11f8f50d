"""What is measured for a row of a table: a run and an order of this preset, or a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from reports.plan.jobs import BENCH_NAME, proxies_name, score_name
from reports.records.drift_record import DriftRecord
from reports.records.measurements import Measurements
from reports.records.speed_records import BenchRecord
from reports.records.study_record import STUDENTS_RECORD, StudyRecord
from reports.records.vbench_records import (
    COLUMN_PROXIES,
    VBENCH_PREFIX,
    ProxyRecord,
    ProxyValue,
    VBenchRecord,
)
from reports.tables.cells import Measured
from reports.tables.needs import VBENCH, NotRun, no_result

DRIFT = "drift"
SEAM = "seam"
NO_TRAINING = NotRun(
    cause=f"{STUDENTS_RECORD} has no training of it", cause_summary="needs trainings in the record"
)
SPEED_COLUMNS = frozenset(field.name for field in fields(BenchRecord))


@dataclass(frozen=True, kw_only=True)
class RowSource:
    """What is run for a row.

    Attributes:
        run: Name of the run in the spec.
        orders: Orders whose speed counts for the row, the first that was timed; none where the
            table has no speed.
        origin: What the run is, in the words of the table's last column.
    """

    run: str
    orders: tuple[str, ...] = ()
    origin: str


RowSources = Mapping[str, Mapping[str, RowSource]]
"""Row sources by scale of the preset (`tiny`, `paper`), then by row id."""


@dataclass(frozen=True, kw_only=True)
class RowRecords:
    """The records behind a row; a column without one says why in `reasons`.

    Attributes:
        job: The job, or the record, that the drift score and VBench's scores come from.
        study: The study over several trainings, where the run samples a row of it.
        reasons: Why there is no number, by kind of record: drift, vbench or bench.
        run: Name of the run, empty for a trained model's record.
    """

    origin: str
    job: str
    drift: DriftRecord | None
    vbench: VBenchRecord | None
    bench: BenchRecord | None
    reasons: Mapping[str, NotRun]
    proxies: ProxyRecord | None = None
    run: str = ""
    study: StudyRecord | None = None

    @property
    def study_row(self) -> str:
        """Name of the row of the study that the run samples."""
        return self.run.removeprefix(self.study.run_prefix) if self.study else ""

    def study_measure(self, column: str) -> str:
        """Name of the study's measure in a column; empty where there is none."""
        if self.study is None or self.vbench is not None:
            return ""
        return DRIFT if column == DRIFT else COLUMN_PROXIES.get(column, "")

    def has_proxy(self, column: str) -> bool:
        """Whether a proxy stands in a column of VBench, of this run or of a study."""
        return column != DRIFT and bool(self.study_measure(column) or self.proxy(column))

    def proxy(self, column: str) -> ProxyValue | None:
        """Returns the proxy in a column of VBench, where VBench itself was not run."""
        if self.vbench is not None or self.proxies is None:
            return None
        return self.proxies.column(column)


def row_records(
    measurements: Measurements, sources: RowSources, row_id: str, no_run: NotRun
) -> RowRecords | NotRun:
    """Finds what was measured for a row: a trained model's record first, else its source's runs.

    Args:
        measurements: What was measured.
        sources: The table's row sources.
        row_id: The row.
        no_run: Why there is nothing, where this preset has no run for the row.
    """
    variant = measurements.variants.get(row_id)
    if variant is not None:
        return RowRecords(
            origin=variant.what,
            job=f"record variants/{row_id}",
            drift=variant.drift,
            vbench=variant.vbench,
            bench=None,
            reasons={
                "bench": NotRun(cause="a trained variant is not timed"),
                "vbench": NotRun(needs=(VBENCH,)),
            },
        )
    source = sources.get(measurements.preset.scale, {}).get(row_id)
    return no_run if source is None else _run_records(measurements, source)


def _run_records(measurements: Measurements, source: RowSource) -> RowRecords:
    job, proxies = score_name(source.run), proxies_name(source.run)
    timing = f"time-{source.run}"
    speed = timing if timing in measurements.failures else BENCH_NAME
    proxies_failed = proxies in measurements.failures  # else VBench itself is what is missing
    study = _study_of(measurements, source.run)
    reasons = {
        DRIFT: no_result(measurements.why(job)),
        "bench": no_result(measurements.why(speed)),
        "vbench": no_result(measurements.why(proxies))
        if proxies_failed
        else NotRun(needs=(VBENCH,)),
    }
    if measurements.students is not None and study is None:
        reasons |= dict.fromkeys((DRIFT, "vbench"), NO_TRAINING)
    return RowRecords(
        origin=source.origin,
        job=job,
        drift=measurements.drifts.get(source.run),
        vbench=measurements.vbench.get(source.run),
        proxies=measurements.proxies.get(source.run),
        run=source.run,
        study=study,
        bench=next((measurements.bench[o] for o in source.orders if o in measurements.bench), None),
        reasons=reasons,
    )


def _study_of(measurements: Measurements, run: str) -> StudyRecord | None:
    """The study that a run samples a row of."""
    studies = (measurements.mechanism, measurements.students)
    return next(
        (study for study in studies if study is not None and study.row_of(run) is not None), None
    )


def measured(records: RowRecords, column: str, measurements: Measurements) -> Measured | NotRun:
    """Returns a column's number for a row, or why there is none."""
    scale = measurements.preset.scale
    if records.study_measure(column):
        return _over_trainings(records, column, scale)
    if column in DRIFT_COLUMNS:
        return DRIFT_COLUMNS[column](records, scale)
    if column.startswith(VBENCH_PREFIX):
        return _vbench(records, column, scale)
    if column not in SPEED_COLUMNS:
        raise ValueError(f"no record holds the column {column!r}: give `measured` a branch for it")
    if records.bench is None:
        return records.reasons["bench"]
    return Measured(
        value=getattr(records.bench, column), n=records.bench.repeats, n_of="repeats",
        interval=None, job=BENCH_NAME, scale=scale, note=_speed_note(records.bench),
    )  # fmt: skip


def _drift(records: RowRecords, scale: str) -> Measured | NotRun:
    if records.drift is None:
        return records.reasons[DRIFT]
    return Measured(
        value=records.drift.value, n=records.drift.videos, n_of="videos",
        interval=records.drift.ci95, job=records.job, scale=scale,
    )  # fmt: skip


def _seam(records: RowRecords, scale: str) -> Measured | NotRun:
    if records.drift is None:
        return records.reasons[DRIFT]
    seam = records.drift.seam
    if seam is None:
        return NotRun(cause="its videos have no blocks")
    found = "above" if seam.found else "not above"
    return Measured(
        value=seam.seam_ratio, n=records.drift.videos, n_of="videos", interval=seam.ci95,
        job=records.job, scale=scale,
        note=f"{found} the largest ratio at any other phase of a block, "
        f"{seam.largest_other_phase:.2f}",
    )  # fmt: skip


DRIFT_COLUMNS = {DRIFT: _drift, SEAM: _seam}


def _speed_note(bench: BenchRecord) -> str:
    note = f"order {bench.order}"
    if bench.ranks > 1:
        note += f" over {bench.ranks} processes"
    if bench.seconds_range is not None:
        low, high = (100 * (bound - 1) for bound in bench.seconds_range)
        note += f", repeats from {low:+.0f} % to {high:+.0f} % of the median time"
    return note


def _over_trainings(records: RowRecords, column: str, scale: str) -> Measured:
    """Mean over the trainings and prompts of a study that ships."""
    study, row = records.study, records.study_row
    assert study is not None
    value, interval = study.mean(row, records.study_measure(column))
    made, proxy = study.row(row).made_here, records.proxy(column)
    notes = [f"of the shipped record of {len(study.seeds)} trainings"]
    if proxy is not None:
        notes.append(proxy.note)
    if column == DRIFT and made is not None:
        same = "equal frames" if made.same_frames else "other frames"
        notes.append(f"the first sampled anew here: {made.mean:.3f}, {same}")
    return Measured(
        value=value, n=len(study.seeds) * len(study.prompts), n_of="videos", interval=interval,
        job=f"{study.name}-{scale}", scale=scale, note="; ".join(notes), is_proxy=column != DRIFT,
    )  # fmt: skip


def _vbench(records: RowRecords, column: str, scale: str) -> Measured | NotRun:
    proxy = records.proxy(column)
    if proxy is not None:
        return Measured(
            value=proxy.mean, n=len(proxy.videos), n_of="videos", interval=proxy.ci95,
            job=proxies_name(records.run), scale=scale, note=proxy.note, is_proxy=True,
        )  # fmt: skip
    if records.vbench is None:
        return records.reasons["vbench"]
    value = records.vbench.score(column)
    if value is None:
        return NotRun(cause=f"VBench ran without {', '.join(records.vbench.missing)}")
    return Measured(
        value=value, n=1, n_of="VBench run", interval=None, job=records.job, scale=scale
    )
