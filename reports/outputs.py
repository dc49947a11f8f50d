"""From measurements to files: tables, figures and the page, and which jobs each was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drift.records import atomic_write_text
from reports.cells import Table
from reports.execute import Outcome
from reports.figures import FIGURES
from reports.jobs import BENCH_NAME, score_name
from reports.manifest import Artifact
from reports.measurements import Measurements
from reports.page import Picture, render_page
from reports.parts import FIGURES_PART
from reports.render import write_table
from reports.tables import TABLES


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What was written."""

    tables: list[Table]
    artifacts: list[Artifact]
    report: Path


def write_outputs(
    measurements: Measurements,
    parts: Sequence[str],
    outcomes: Mapping[str, Outcome],
    about: Mapping[str, Any],
    out: Path,
) -> Outputs:
    """Writes the asked parts of a report from records that are there; runs nothing.

    Args:
        measurements: What was measured.
        parts: Tables' names and `figures`.
        outcomes: How each job ended.
        about: What `manifest.environment` returned.
        out: The reproduction folder.
    """
    scale = measurements.preset.scale
    tables = [TABLES[part].build(measurements) for part in parts if part in TABLES]
    artifacts = [
        Artifact(
            path=path, jobs=tuple(job for job in table_jobs(table.name, scale) if job in outcomes)
        )
        for table in tables
        for path in write_table(table, out / "tables")
    ]
    pictures: list[Picture] = []
    for figure in FIGURES.values() if FIGURES_PART in parts else ():
        paths = figure.draw(measurements, out / "figures")
        jobs = tuple(name for name in outcomes if name.startswith(f"{figure.reads}-"))
        artifacts += [Artifact(path=path, jobs=jobs) for path in paths]
        pictures += [Picture(name=figure.name, title=figure.title, png=path) for path in paths[:1]]
    report = out / "report.html"
    atomic_write_text(report, render_page(measurements, tables, pictures, outcomes, about))
    artifacts.append(Artifact(path=report, jobs=tuple(outcomes)))
    return Outputs(tables=tables, artifacts=artifacts, report=report)


def table_jobs(name: str, scale: str) -> tuple[str, ...]:
    """Names the jobs whose outputs a table reads at a scale; a preset need not hold them all."""
    spec = TABLES[name]
    return (*(score_name(run) for run in spec.runs(scale)), *([BENCH_NAME] if spec.bench else []))
