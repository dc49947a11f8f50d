"""`report.html`: one self-contained page, no script, no outside resource."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from drift.curves import segment_chart
from drift.score import VideoScore
from drift.tables import RunData


def render_report(run: RunData, scores: Sequence[VideoScore], summary: dict[str, Any]) -> str:
    """Renders the page of a run.

    Args:
        run: What was measured.
        scores: The scored videos, in order of path.
        summary: Content of `summary.json`.

    Returns:
        HTML text; every name from outside is escaped.
    """
    charts = {
        name: segment_chart(
            [score.metrics[name].segment_means for score in scores],
            entry["segment_means"],
            entry["segment_ci95"],
        )
        for name, entry in summary["metrics"].items()
    }
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["num"] = format_number
    template = Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    worst_first = sorted(scores, key=lambda score: (-score.score, score.path))
    return environment.from_string(template).render(
        summary=summary, charts=charts, scores=worst_first, config=run.config
    )


def format_number(value: float | None) -> str:
    """Four significant digits, or a dash for a number that does not exist."""
    return "–" if value is None else f"{value:.4g}"
