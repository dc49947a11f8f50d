"""A change and its interval as a small picture: where they lie beside 0 and the paper's number."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from reports.tables.cells import Change

WIDTH, ROW, REACH = 132, 12, 1.0
"""Pixels across, pixels a change, and the largest change to either side that fits."""


def forest(changes: Sequence[Change], published: Sequence[float]) -> Markup:
    """Draws a line a change, with a diamond where the paper's number lies.

    Args:
        changes: Measured changes, 0.1 for 10 % more; correlations fit too.
        published: The paper's changes, as many or none.

    Returns:
        An SVG without text; the words beside it say the same. Empty without changes.
    """
    if not changes:
        return Markup("")
    height = ROW * len(changes)
    lines = "".join(_line(change, ROW * (i + 0.5)) for i, change in enumerate(changes))
    marks = "".join(
        f'<path class="paper" d="M{_x(value):.1f} {ROW * (i + 0.5) - 4:.1f}l4 4l-4 4l-4 -4z"/>'
        for i, value in enumerate(published)
    )
    return Markup(
        f'<svg class="forest" aria-hidden="true" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}"><path class="zero" d="M{_x(0):.1f} 0v{height}"/>'
        f"{lines}{marks}</svg>"
    )


def _line(change: Change, y: float) -> str:
    low, high = change.interval or (change.value, change.value)
    return (
        f'<path class="interval" d="M{_x(low):.1f} {y:.1f}H{_x(high):.1f}"/>'
        f'<circle cx="{_x(change.value):.1f}" cy="{y:.1f}" r="3"/>'
    )


def _x(value: float) -> float:
    """The place of a change; one that does not fit stands at the edge."""
    inside = max(-REACH, min(REACH, value))
    return 6 + (WIDTH - 12) * (inside + REACH) / (2 * REACH)
