"""Everything that was measured, as tables and figures read it, and why the rest is missing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reports.paper.spec import Preset
from reports.paper.spec_types import RunSpec
from reports.plan.jobs import BENCH_NAME, LENGTHS_RECORD, lengths_name, proxies_name, score_name
from reports.plan.video_parts import video_parts
from reports.records.drift_record import DriftRecord, read_drift
from reports.records.figure_records import (
    DynamicsRecord,
    LengthsRecord,
    StripsRecord,
    read_dynamics,
    read_lengths,
    read_strips,
)
from reports.records.speed_records import BenchRecord, read_bench, read_timing
from reports.records.study_record import (
    MECHANISM_RECORD,
    STUDENTS_RECORD,
    MechanismRecord,
    StudentsRecord,
    read_mechanism,
    read_students,
)
from reports.records.variants import VariantRecord, read_variants
from reports.records.vbench_records import ProxyRecord, VBenchRecord, read_proxies, read_vbench
from reports.records.video_records import VideoRecord, read_sidecars
from reports.run.execute import Outcome


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Records of the jobs that are done, and why the others are not.

    Attributes:
        drifts: Drift scores by run.
        bench: Speeds by order, and of compared models by run.
        videos: Sampled videos by run.
        failures: Why a job has no outputs, by job.
        vbench: VBench's scores by run.
        proxies: Proxies of VBench's dimensions, by run.
        variants: Trained models, by row of Tables 2 and 3.
        dynamics: What Fig. 4 is drawn from, None where there is no record.
        strips: What Fig. 5 is drawn from, None where there is no record.
        lengths: Drift against length, None where there is no record.
        mechanism: The mechanism study with what was made here, None where there is no record.
        students: The study of the students with what was made here, None where there is none.
    """

    preset: Preset
    drifts: Mapping[str, DriftRecord] = field(default_factory=dict)
    bench: Mapping[str, BenchRecord] = field(default_factory=dict)
    videos: Mapping[str, list[VideoRecord]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    vbench: Mapping[str, VBenchRecord] = field(default_factory=dict)
    proxies: Mapping[str, ProxyRecord] = field(default_factory=dict)
    variants: Mapping[str, VariantRecord] = field(default_factory=dict)
    dynamics: DynamicsRecord | None = None
    strips: StripsRecord | None = None
    lengths: LengthsRecord | None = None
    mechanism: MechanismRecord | None = None
    students: StudentsRecord | None = None

    @property
    def shown_runs(self) -> tuple[RunSpec, ...]:
        """The runs that films and figures show."""
        return tuple(run for run in self.preset.runs if run.in_figures)

    def notes(self) -> tuple[str, ...]:
        """Returns what a reader must know about all measured numbers, the drift score above all."""
        partial = next((record for record in self.drifts.values() if record.partial), None)
        if partial is None:
            return (self.preset.caption,)
        return (
            self.preset.caption,
            f"The measured drift score is partial: {' and '.join(partial.metrics)} only; "
            f"{', '.join(partial.missing_metrics)} are missing. The paper gives neither the "
            "normalisers nor the weights of its score.",
        )

    def why(self, job: str) -> str:
        """Says why a job has no result."""
        return f"job {job}: {self.failures.get(job, 'not part of this run')}"


def paired_change_ci(
    ours: Mapping[str, float], theirs: Mapping[str, float]
) -> tuple[float, float] | None:
    """Returns the 95 % interval of mean(ours) / mean(theirs) - 1, by a bootstrap over pairs.

    Args:
        ours, theirs: Values by video; videos of one name make a pair.

    Returns:
        The interval, None if the names differ or there are fewer than two pairs.
    """
    import numpy as np  # noqa: PLC0415  (keeps --help light)

    from drift.stats.bootstrap import bootstrap_means, change_interval  # noqa: PLC0415

    names = sorted(ours)
    if names != sorted(theirs) or len(names) < 2:
        return None
    pairs = np.array([[theirs[name], ours[name]] for name in names])
    return change_interval(bootstrap_means(pairs, names))


def load_measurements(preset: Preset, out: Path, outcomes: Mapping[str, Outcome]) -> Measurements:
    """Reads the records of all jobs that are done."""
    ok = {name for name, outcome in outcomes.items() if outcome.ok}
    runs = [run.name for run in preset.runs]
    found: dict[str, Any] = {
        "drifts": {r: read_drift(out / "drift" / r) for r in runs if score_name(r) in ok},
        "videos": {run.name: _videos(preset, run, out, ok) for run in preset.runs},
        "proxies": {
            r: read_proxies(out / f"proxies/{r}.json") for r in runs if proxies_name(r) in ok
        },
        "bench": _speeds(out, runs, ok),
        **_given(out, preset, ok),
    }
    found["videos"] = {run: videos for run, videos in found["videos"].items() if videos}
    failures = {name: outcome.reason for name, outcome in outcomes.items() if not outcome.ok}
    return Measurements(preset=preset, failures=failures, **found)


def _videos(preset: Preset, run: RunSpec, out: Path, ok: Collection[str]) -> list[VideoRecord]:
    """Reads the videos of a run that drift is measured on, those of the first seed."""
    parts = [part for part in video_parts(preset, run) if part.sample is preset.sample]
    mine = [part for part in parts if part.seed == preset.sample.seed and part.name in ok]
    return read_sidecars(out / part.folder for part in mine)


def _speeds(out: Path, runs: Iterable[str], ok: Collection[str]) -> dict[str, BenchRecord]:
    """Reads speeds by order, and by run where models were timed; HiAR's is that of the pipeline."""
    found = read_bench(out / "bench.json") if BENCH_NAME in ok else {}
    if "pipelined" in found:
        found["hiar"] = found["pipelined"]
    timed = [run for run in runs if f"time-{run}" in ok]
    return found | {run: read_timing(out / f"timing/{run}.json") for run in timed}


def _given(out: Path, preset: Preset, ok: Collection[str]) -> dict[str, Any]:
    """Reads the records that jobs of the spec itself make, or that somebody put into the folder.

    A record that a job makes counts only where that job is done; an old file may be out of date.
    """
    makers = {path: job.name for job in preset.jobs for path in job.outputs}
    if preset.lengths is not None:
        makers[LENGTHS_RECORD] = lengths_name(preset.name)

    def found(name: str, read: Callable[[Path], Any]) -> Any:
        maker = makers.get(name)
        wanted = (out / name).is_file() if maker is None else maker in ok
        return read(out / name) if wanted else None

    vbench = {run.name: found(f"vbench/{run.name}.json", read_vbench) for run in preset.runs}
    return {
        "vbench": {run: record for run, record in vbench.items() if record is not None},
        "variants": read_variants(out, preset.scale),
        "dynamics": found("records/dynamics.json", read_dynamics),
        "strips": found("records/strips.json", read_strips),
        "lengths": found(LENGTHS_RECORD, read_lengths),
        "mechanism": found(MECHANISM_RECORD, read_mechanism),
        "students": found(STUDENTS_RECORD, read_students),
    }
