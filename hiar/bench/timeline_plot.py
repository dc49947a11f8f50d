"""The spans of a pipeline as a picture: a row a rank, time to the right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hiar.runtime.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hiar.sampling.pipelined.timeline import Kind, Span

# Okabe and Ito's palette: told apart by readers of any colour vision, and in grey.
COLORS: dict[Kind, str] = {
    "denoise": "#0072B2",
    "context": "#56B4E9",
    "fused": "#009E73",
    "send": "#D55E00",
    "wait": "#DDDDDD",
}
ROW_INCHES, WIDTH_INCHES = 0.75, 12.0
BAR = 0.8
LABEL_SHARE = 0.012
"""A bar narrower than this share of the picture bears no block number."""
VISIBLE_SHARE = 0.001
"""Transfers are drawn at least this wide, or no one would see them."""


def plot_timeline(path: Path, spans: Sequence[Span], title: str) -> None:
    """Write the picture.

    Args:
        path: The PNG file.
        spans: Spans of all ranks.
        title: Title above the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    ranks = sorted({span.rank for span in spans})
    figure = Figure(figsize=(WIDTH_INCHES, 1.6 + ROW_INCHES * len(ranks)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw(axes, spans)
    axes.set_yticks(ranks, [f"rank {rank}" for rank in ranks])
    axes.invert_yaxis()
    axes.set_xlim(0, max(span.end_s for span in spans))
    axes.set_xlabel("seconds since the start; numbers are blocks")
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    figure.legend(loc="outside lower center", ncols=len(COLORS), frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def _draw(axes: Axes, spans: Sequence[Span]) -> None:
    whole = max(span.end_s for span in spans)
    for kind, color in COLORS.items():
        chosen = [span for span in spans if span.kind == kind]
        if not chosen:
            continue
        least = VISIBLE_SHARE * whole if kind == "send" else 0.0
        axes.barh(
            [span.rank for span in chosen],
            [max(span.seconds, least) for span in chosen],
            left=[span.start_s for span in chosen],
            height=BAR, color=color, edgecolor="white", linewidth=0.3 if kind != "send" else 0,
            label=kind, zorder=2 if kind == "send" else 1,
        )  # fmt: skip
        for span in chosen:
            if kind not in ("send", "wait") and span.seconds > LABEL_SHARE * whole:
                middle = (span.start_s + span.end_s) / 2
                axes.text(
                    middle, span.rank, str(span.block), ha="center", va="center", fontsize=7,
                    color="black" if kind == "context" else "white",
                )  # fmt: skip
