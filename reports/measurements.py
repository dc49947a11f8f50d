"""All that was measured, as table modules ask for it: a cell, or the reason that there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reports.cells import Change, Measured, NotRun
from reports.execute import Outcome
from reports.jobs import BENCH_NAME, sample_name, score_name
from reports.records import (
    BenchRecord,
    DriftRecord,
    VideoRecord,
    read_bench,
    read_drift,
    read_videos,
)
from reports.spec import Preset


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Records of the jobs that are done, and why the others are not.

    Attributes:
        drifts: By run.
        bench: By order.
        videos: By run.
        failures: One line by job that has no outputs.
    """

    preset: Preset
    drifts: Mapping[str, DriftRecord] = field(default_factory=dict)
    bench: Mapping[str, BenchRecord] = field(default_factory=dict)
    videos: Mapping[str, list[VideoRecord]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)

    def drift(self, run: str) -> Measured | NotRun:
        """Returns the drift score of a run."""
        job = score_name(run)
        if run not in self.drifts:
            return NotRun(reason=self._why(job))
        record = self.drifts[run]
        return Measured(
            value=record.value,
            n=record.videos,
            n_of="videos",
            interval=record.ci95,
            job=job,
            scale=self.preset.scale,
        )

    def speed(self, order: str, column: str) -> Measured | NotRun:
        """Returns a field of the benchmark row of an order."""
        if order not in self.bench:
            return NotRun(reason=self._why(BENCH_NAME))
        return Measured(
            value=getattr(self.bench[order], column),
            n=self.preset.bench.repeats,
            n_of="repeats",
            interval=None,
            job=BENCH_NAME,
            scale=self.preset.scale,
        )

    def drift_change(self, run: str, reference: str) -> Change | None:
        """Returns the relative change of the drift score, with a paired bootstrap interval."""
        if run == reference or run not in self.drifts or reference not in self.drifts:
            return None
        ours, theirs = self.drifts[run], self.drifts[reference]
        if theirs.value == 0:
            return None
        return Change(
            value=ours.value / theirs.value - 1,
            interval=paired_change_ci(ours.video_scores, theirs.video_scores),
        )

    def speed_change(self, order: str, reference: str, column: str) -> Change | None:
        """Returns the relative change of a benchmark field against another order."""
        if order == reference or order not in self.bench or reference not in self.bench:
            return None
        ours, theirs = self.bench[order], self.bench[reference]
        return Change(value=getattr(ours, column) / getattr(theirs, column) - 1)

    def notes(self) -> tuple[str, ...]:
        """Says what the numbers of all tables are, and what the drift score holds here."""
        partial = next((record for record in self.drifts.values() if record.partial), None)
        if partial is None:
            return (self.preset.caption,)
        return (
            self.preset.caption,
            f"The measured drift score is partial: {' and '.join(partial.metrics)} only; "
            f"{', '.join(partial.missing_metrics)} are missing. The paper gives neither the "
            "normalisers nor the weights of its score.",
        )

    def _why(self, job: str) -> str:
        return f"job {job}: {self.failures.get(job, 'not part of this run')}"


def paired_change_ci(
    ours: Mapping[str, float], theirs: Mapping[str, float]
) -> tuple[float, float] | None:
    """95 % interval of mean(ours) / mean(theirs) - 1, by drawing pairs of videos of one name.

    Returns:
        None when the names differ, or with fewer than two pairs.
    """
    import numpy as np  # noqa: PLC0415  (keeps --help light)

    from drift.bootstrap import bootstrap_means, change_interval  # noqa: PLC0415

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
        "videos": {r: read_videos(out / "videos" / r) for r in runs if sample_name(r) in ok},
        "bench": read_bench(out / "bench.json") if BENCH_NAME in ok else {},
    }
    failures = {name: outcome.reason for name, outcome in outcomes.items() if not outcome.ok}
    return Measurements(preset=preset, failures=failures, **found)
