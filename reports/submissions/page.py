"""Renders all submissions as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reports.render.pages import page_environment
from reports.submissions.rows import NOT_MEASURED, model_rows, speed_rows
from reports.submissions.submission import Submission

SCALES = (("paper", "Full models"), ("tiny", "The tiny world"))


def render_page(found: Sequence[tuple[Path, Submission]]) -> str:
    """Renders the page.

    Args:
        found: Folder and content of each submission.

    Returns:
        HTML that requests nothing from outside.
    """
    environment = page_environment("reports.submissions")
    environment.filters["number"] = _number
    models, speeds = model_rows(found), speed_rows(found)
    sections = [
        (title, scale,
         [row for row in models if row.scale == scale],
         [row for row in speeds if row.scale == scale])
        for scale, title in SCALES
    ]  # fmt: skip
    return environment.get_template("submissions.html").render(
        sections=[section for section in sections if section[2] or section[3]],
        submissions=[submission for _, submission in found],
    )


def _number(value: float | None, decimals: int = 1) -> str:
    return NOT_MEASURED if value is None else f"{value:.{decimals}f}"
