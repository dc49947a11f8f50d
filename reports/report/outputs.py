"""Writes tables, figures and the page from measurements; notes which jobs each file came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from drift.files import atomic_write_text
from reports.figures import FIGURES, write_figure
from reports.figures.drawing import Drawn, FigureEntry
from reports.plan.jobs import BENCH_NAME, proxies_name, score_name
from reports.records.measurements import Measurements
from reports.render import write_table
from reports.report.claims import write_claims
from reports.report.clips import Clip, clips_to_make, make_clip
from reports.report.judge import judge_claims
from reports.report.manifest import Artifact
from reports.report.page import render_page
from reports.run.execute import Outcome
from reports.run.parallel import run_side_by_side
from reports.tables import FIGURES_PART, TABLES
from reports.tables.cells import Table

REPORT_NAME = "report.html"


def build_tables(measurements: Measurements, parts: Sequence[str]) -> list[Table]:
    """Builds the tables among the requested parts."""
    return [TABLES[part].build(measurements) for part in parts if part in TABLES]


def write_outputs(
    measurements: Measurements,
    tables: Sequence[Table],
    parts: Sequence[str],
    outcomes: Mapping[str, Outcome],
    about: Mapping[str, Any],
    out: Path,
) -> list[Artifact]:
    """Writes the requested parts of a report from records that are there; runs no job.

    Args:
        measurements: What was measured.
        tables: Result of `build_tables`.
        parts: Names of tables, and `figures`.
        outcomes: How each job ended.
        about: Result of `manifest.environment`.
        out: The reproduction folder; the page is `REPORT_NAME` in it.

    Returns:
        What was written.
    """
    entries = list(FIGURES.values()) if FIGURES_PART in parts else []
    figures, clips = _draw(measurements, entries, out)
    artifacts = [
        Artifact(path=path, jobs=_made_from(table, measurements, outcomes))
        for table in tables
        for path in write_table(table, out / "tables")
    ]
    artifacts += [
        Artifact(path=path, jobs=drawn.entry.jobs(outcomes))
        for drawn in figures
        for path in drawn.paths
    ]
    claims = judge_claims(measurements)
    artifacts += [
        Artifact(path=path, jobs=tuple(outcomes))
        for path in write_claims(claims, measurements.preset.scale, out)
    ]
    report = out / REPORT_NAME
    page = render_page(measurements, tables, figures, clips, claims, outcomes, about)
    atomic_write_text(report, page)
    artifacts.append(Artifact(path=report, jobs=tuple(outcomes)))
    return artifacts


def _draw(
    measurements: Measurements, entries: Sequence[FigureEntry], out: Path
) -> tuple[list[Drawn], list[Clip]]:
    """Draws all figures and clips side by side."""
    wanted = clips_to_make(measurements)
    results: list[Any] = run_side_by_side(
        [
            *(partial(write_figure, entry, measurements, out / "figures") for entry in entries),
            *(partial(make_clip, label, video) for label, video in wanted),
        ]
    )
    return results[: len(entries)], results[len(entries) :]


def _made_from(
    table: Table, measurements: Measurements, outcomes: Mapping[str, Outcome]
) -> tuple[str, ...]:
    jobs = table_jobs(table.name, measurements.preset.scale)
    return tuple(job for job in jobs if job in outcomes)


def table_jobs(name: str, scale: str) -> tuple[str, ...]:
    """Names the jobs whose outputs a table reads at a scale; a preset may lack some of them."""
    spec = TABLES[name]
    names = [name(run) for run in spec.runs(scale) for name in (score_name, proxies_name)]
    study = [f"{spec.study}-{scale}"] if spec.study else []
    return (*names, *study, *([BENCH_NAME] if spec.bench else []))
