"""A picture of power against the number of prompts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drift.files import write_figure
from drift.seams.figure import COLOURS

DESIGNS = ("paired", "unpaired")


def draw_power(path: Path, record: Mapping[str, Any]) -> None:
    """Draws the curves of the score.

    Args:
        path: A file that matplotlib can write: png, svg or pdf.
        record: What `power_of_runs` returned.

    Raises:
        UsageError: matplotlib cannot write the format.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  (half a second)

    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    panel = figure.subplots()
    entry = record["score"]
    for design, colour in zip(DESIGNS, COLOURS, strict=False):
        needed = entry[design]
        if needed is None:
            continue
        points = needed["curve"]
        panel.plot(
            [point["prompts"] for point in points],
            [100 * point["power"] for point in points],
            color=colour,
            label=f"{design}: {needed['prompts']} prompts",
        )
        panel.axvspan(*needed["ci95"], color=colour, alpha=0.12, linewidth=0)
        panel.plot(needed["prompts"], 100 * record["power"], "o", color=colour)
    panel.axhline(100 * record["power"], color="0.6", linewidth=0.8, zorder=0)
    panel.set(
        xscale="log",
        xlabel="prompts",
        ylabel="power at 5 %, %",
        ylim=(0, 100),
        title=f"Finding a difference of {entry['difference']:.3g} in the drift score",
    )
    ticks = (6, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
    low, high = panel.get_xlim()
    panel.set_xticks([n for n in ticks if low <= n <= high])
    panel.xaxis.set_major_formatter("{x:g}")
    panel.minorticks_off()
    if panel.lines:
        panel.legend(frameon=False, fontsize="small")
    write_figure(path, figure)
