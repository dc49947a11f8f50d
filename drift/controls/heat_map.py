"""A picture of a validation: what moves which metric, and how surely."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from drift.files import write_figure

LIMIT = 2.0
"""Effect, in scales of a metric, at which the colours end."""
DARK = 1.2
"""Effect from which on the text on a cell is white."""


def draw_heat_map(path: Path, record: Mapping[str, Any]) -> None:
    """Draws the degradations, and beside them the controls without doses.

    Args:
        path: A file that matplotlib can write: png, svg or pdf.
        record: What `validate_controls` returned.

    Raises:
        UsageError: matplotlib cannot write the format.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  (half a second)

    columns = record["columns"]
    degradations = list(next(iter(columns.values()))["degradations"])
    controls = list(next(iter(columns.values()))["controls"])
    figure = Figure(
        figsize=(1.9 + 0.95 * len(columns), 1.6 + 0.46 * (len(degradations) + len(controls) + 1)),
        layout="constrained",
    )
    above, below = figure.subplots(2, 1, height_ratios=[len(degradations), len(controls)])
    effects = np.array(
        [
            [entry["degradations"][d]["effects"][-1] for entry in columns.values()]
            for d in degradations
        ]
    )
    shown = above.imshow(effects, cmap="RdBu_r", vmin=-LIMIT, vmax=LIMIT, aspect="auto")
    for (i, j), effect in np.ndenumerate(effects):
        entry = list(columns.values())[j]
        blind = degradations[i] in entry["blind_to"]
        sure = entry["degradations"][degradations[i]]["accuracy"]
        text = "blind" if blind else f"{effect:+.2f}\n{100 * sure:.0f} %"
        _write(above, i, j, text, effect)
    _label(above, list(columns), degradations)
    above.set_title(
        "Change at the largest dose, in scales of the metric; below it, how often the larger of\n"
        "two doses reads further (50 % is chance)",
        fontsize="medium",
    )
    drifts = np.array([[entry["controls"][c] for entry in columns.values()] for c in controls])
    below.imshow(drifts, cmap="Reds", vmin=0, vmax=LIMIT, aspect="auto")
    for (i, j), drift in np.ndenumerate(drifts):
        _write(below, i, j, f"{drift:.2f}", drift)
    of = len(record["sources"])
    marked = {name: f"{name} ({count} of {of} marked)" for name, count in record["frozen"].items()}
    _label(below, list(columns), [marked.get(name, name) for name in controls])
    below.set_title("Mean drift without a dose, in the same scales", fontsize="medium")
    figure.colorbar(shown, ax=above, shrink=0.8)
    write_figure(path, figure)


def _write(panel: Any, i: int, j: int, text: str, value: float) -> None:
    colour = "white" if abs(value) > DARK else "0.35" if text == "blind" else "black"
    panel.text(j, i, text, ha="center", va="center", fontsize="x-small", color=colour)


def _label(panel: Any, columns: list[str], rows: list[str]) -> None:
    names = [name.replace("_", " ") for name in rows]
    panel.set_xticks(range(len(columns)), columns, rotation=30, ha="right", fontsize="small")
    panel.set_yticks(range(len(rows)), names, fontsize="small")
    panel.tick_params(length=0)
