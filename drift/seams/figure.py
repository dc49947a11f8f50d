"""A picture of seams: the median ratio at each phase of a block, one line a record."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drift.errors import UsageError
from drift.files import write_figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe and Ito's colours, which stay apart for every kind of colour vision."""


def draw_profiles(path: Path, records: Mapping[str, Mapping[str, Any]]) -> None:
    """Draws one panel a metric.

    Phases are counted from the border of each record, so that seams of models with other borders
    stand above one another; the bar at 0 is the interval of the ratio.

    Args:
        path: A file that matplotlib can write: png, svg or pdf.
        records: `seams/1` by the name in the legend.

    Raises:
        UsageError: If there are more records than colours, or matplotlib cannot write the format.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  (half a second)

    if len(records) > len(COLOURS):
        raise UsageError(f"{len(records)} records: a picture shows at most {len(COLOURS)}")
    metrics = list(dict.fromkeys(name for one in records.values() for name in one["metrics"]))
    figure = Figure(figsize=(4.6 * len(metrics), 3.4), layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for panel, metric in zip(panels, metrics, strict=True):
        for (name, record), colour in zip(records.items(), COLOURS, strict=False):
            if metric in record["metrics"]:
                _draw_line(panel, name, record, metric, colour)
        panel.axhline(1.0, color="0.6", linewidth=0.8, zorder=0)
        panel.set(title=metric, xlabel="frames from the border of a block")
    panels[0].set_ylabel("change over that of its neighbours")
    panels[-1].legend(frameon=False, fontsize="small")
    write_figure(path, figure)


def _draw_line(panel: Any, name: str, record: Mapping[str, Any], metric: str, colour: str) -> None:
    entry, block = record["metrics"][metric], record["block"]
    phase = (record["first"] - 1) % block
    shifts = range(-(block // 2), block - block // 2)
    profile: Sequence[float] = entry["profile"]
    panel.plot(
        shifts, [profile[(phase + shift) % block] for shift in shifts],
        color=colour, marker="o", markersize=3, linewidth=1.2,
        label=f"{name}: {entry['seam_ratio']:.2f}",
    )  # fmt: skip
    low, high = entry["ci95"]
    panel.vlines(0, low, high, color=colour, linewidth=3, alpha=0.4)
