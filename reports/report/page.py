"""Renders report.html, one file with claims, tables, films, figures and their provenance."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from baselines.field.disputes import DISPUTES
from reports.figures.drawing import Drawn
from reports.paper.published import is_published
from reports.plan.jobs import clock
from reports.records.measurements import Measurements
from reports.render.pages import page_environment
from reports.report.claims import VERDICTS, Verdict, detectable_text, how_judged
from reports.report.clips import Clip
from reports.report.findings import findings
from reports.report.forest import forest
from reports.report.page_tables import table_view
from reports.report.published_field import fair_rows
from reports.run.execute import Outcome
from reports.tables.cells import Table
from reports.tables.text import shared_legend

MARKS = dict(zip(VERDICTS, ("✓", "✗", "?", "–"), strict=True))
"""Sign of each verdict, so that colour alone never tells it."""


def render_page(
    measurements: Measurements,
    tables: Sequence[Table],
    figures: Sequence[Drawn],
    clips: Sequence[Clip],
    claims: Sequence[Verdict],
    outcomes: Mapping[str, Outcome],
    about: Mapping[str, Any],
) -> str:
    """Renders the report; prompts, logs and labels are escaped by the template.

    Args:
        measurements: What was measured.
        tables: Finished tables.
        figures: Figures on disk, which are embedded.
        clips: Films of one prompt, one for each run.
        claims: Verdicts on the paper's claims.
        outcomes: How each job ended.
        about: Result of `manifest.environment`.

    Returns:
        HTML that requests nothing from outside.
    """
    environment = page_environment("reports.report")
    environment.filters["clock"] = clock
    environment.globals["forest"] = forest
    environment.globals["detectable_text"] = detectable_text
    at_full_size = measurements.preset.scale == "paper"
    counts = Counter(verdict.verdict for verdict in claims)
    return environment.get_template("report.html").render(
        preset=measurements.preset,
        findings=findings(measurements),
        of_paper=any(map(is_published, measurements.preset.tables)),
        claims=claims,
        counts=[(name, MARKS[name], counts[name]) for name in VERDICTS],
        marks=MARKS,
        judging=how_judged(measurements.preset.scale),
        tables=[table_view(table, measurements, outcomes) for table in tables],
        reading=shared_legend(tables),
        leading=[
            (drawn, _embed(drawn.png)) for drawn in figures if drawn.entry.leads and drawn.png
        ],
        figures=[(drawn, _embed(drawn.png)) for drawn in figures if not drawn.entry.leads],
        fair=fair_rows(measurements.preset) if at_full_size else (),
        disputes=DISPUTES if at_full_size else (),
        clips=clips,
        outcomes=outcomes,
        failed=[outcome for outcome in outcomes.values() if not outcome.ok],
        about=about,
    )


def _embed(png: Path | None) -> str:
    if png is None:
        return ""
    return f"data:image/png;base64,{base64.b64encode(png.read_bytes()).decode()}"
