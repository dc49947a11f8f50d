"""report.html: one self-contained file with tables, figures, films and where they come from."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports.cells import Column, Measured, Row, Table
from reports.execute import Outcome
from reports.findings import findings
from reports.measurements import Measurements
from reports.progress import clock
from reports.render.layout import (
    heading,
    legend,
    measured_columns,
    shared_legend,
    shown_measured,
    shown_published,
)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure of the page."""

    name: str
    title: str
    png: Path


@dataclass(frozen=True, kw_only=True)
class Film:
    """A video of the page."""

    label: str
    source: str


def render_page(
    measurements: Measurements,
    tables: list[Table],
    pictures: list[Picture],
    outcomes: Mapping[str, Outcome],
    about: Mapping[str, Any],
) -> str:
    """Renders the report; prompts, logs and labels are escaped by the template.

    Args:
        measurements: What was measured.
        tables: Finished tables.
        pictures: Figures on disk; embedded.
        outcomes: How each job ended.
        about: What `manifest.environment` returned.

    Returns:
        HTML without any external request.
    """
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = clock
    prompt, films = _films(measurements)
    return environment.get_template("report.html").render(
        preset=measurements.preset,
        findings=findings(measurements),
        tables=[_table_view(table, measurements, outcomes) for table in tables],
        reading=shared_legend(tables),
        pictures=[(picture, _embed(picture.png, "image/png")) for picture in pictures],
        prompt=prompt,
        films=films,
        outcomes=outcomes,
        failed=[outcome for outcome in outcomes.values() if not outcome.ok],
        about=about,
    )


def _embed(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _films(measurements: Measurements) -> tuple[str, list[Film]]:
    runs = [run for run in measurements.preset.runs if measurements.videos.get(run.name)]
    if not runs:
        return "", []
    first = measurements.videos[runs[0].name][0]
    films = [
        Film(label=run.label, source=_embed(video.path, "video/mp4"))
        for run in runs
        for video in measurements.videos[run.name]
        if video.prompt_index == first.prompt_index
    ]
    return first.prompt, films


def _table_view(
    table: Table, measurements: Measurements, outcomes: Mapping[str, Outcome]
) -> dict[str, Any]:
    measured = measured_columns(table)
    return {
        "name": table.name,
        "title": table.title,
        "heads": [(_keep_arrow(heading(c)), 2 if c in measured else 1) for c in table.columns],
        "rows": [
            {"row": row, "cells": _row_view(table, row, measured, measurements, outcomes)}
            for row in table.rows
        ],
        "span": len(table.columns) + len(measured) + 1,
        "legend": [line for line in legend(table) if line not in shared_legend([table])],
    }


def _keep_arrow(head: str) -> str:
    """Keeps an arrow on the line of the word before it."""
    text, _, arrow = head.rpartition(" ")
    return f"{text}\N{NO-BREAK SPACE}{arrow}"


def _row_view(
    table: Table,
    row: Row,
    measured: list[Column],
    measurements: Measurements,
    outcomes: Mapping[str, Outcome],
) -> list[dict[str, Any]]:
    views: list[dict[str, Any]] = []
    for column in table.columns:
        shown = shown_published(table, row, column)
        source = f"published: {table.source}"
        views.append({"side": "published", "shown": shown, "tip": shown.why or source})
        if column not in measured:
            continue
        shown = shown_measured(table, row, column)
        outcome = row.cells[column.id].measured
        tip = shown.why
        if isinstance(outcome, Measured):
            tip = _provenance(outcome, measurements, outcomes)
        views.append({"side": "measured", "shown": shown, "tip": tip})
    return views


def _provenance(cell: Measured, measurements: Measurements, outcomes: Mapping[str, Outcome]) -> str:
    record = outcomes[cell.job].record if cell.job in outcomes else None
    commit = record.commit if record and record.commit else None
    return (
        f"job {cell.job}; commit {commit[:12] if commit else 'unknown'}; "
        f"seed {measurements.preset.sample.seed}; {cell.n} {cell.n_of}"
    )
