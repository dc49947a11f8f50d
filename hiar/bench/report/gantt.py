"""What was done when as a picture: a lane a rank or a network, time to the right."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from hiar.runtime.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hiar.sampling.pipelined.timeline import Span

# Okabe and Ito's palette: told apart by readers of any colour vision, and in grey.
COLORS = {
    "sample": "#0072B2",
    "denoise": "#0072B2",
    "context": "#56B4E9",
    "fused": "#009E73",
    "decode": "#E69F00",
    "send": "#D55E00",
    "wait": "#DDDDDD",
}
DARK_TEXT = ("context", "decode")
"""Bars whose colour is too light for white numbers."""
LANE_INCHES, WIDTH_INCHES = 0.75, 12.0
BAR = 0.8
LABEL_SHARE = 0.012
"""A bar narrower than this share of the picture bears no block number."""
VISIBLE_SHARE = 0.001
"""Transfers are drawn at least this wide, or no one would see them."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One thing that was done.

    Attributes:
        lane: Who did it: a rank, or a network.
        kind: What it was, a key of `COLORS`.
        block: Index of the block.
        start_s, end_s: Seconds since the start of the run.
    """

    lane: str
    kind: str
    block: int
    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end_s - self.start_s


def bars_of(spans: Sequence[Span]) -> list[Bar]:
    """The spans of a pipeline's ranks, a lane each."""
    return [
        Bar(
            lane=f"rank {span.rank}",
            kind=span.kind,
            block=span.block,
            start_s=span.start_s,
            end_s=span.end_s,
        )
        for span in sorted(spans, key=lambda span: span.rank)
    ]


def plot_timeline(path: Path, spans: Sequence[Span], title: str) -> None:
    """Write the picture of a pipeline's run.

    Args:
        path: The PNG file.
        spans: Spans of all ranks.
        title: Title above the picture.
    """
    figure = draw_gantt(bars_of(spans), title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def draw_gantt(bars: Sequence[Bar], title: str) -> Figure:
    """The bars as a figure, a lane for each of their lanes in the sequence they first come in."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    lanes = list(dict.fromkeys(bar.lane for bar in bars))
    figure = Figure(figsize=(WIDTH_INCHES, 1.6 + LANE_INCHES * len(lanes)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw(axes, bars, lanes)
    axes.set_yticks(range(len(lanes)), lanes)
    axes.invert_yaxis()
    axes.set_xlim(0, max(bar.end_s for bar in bars))
    axes.set_xlabel("seconds since the start; numbers are blocks")
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    figure.legend(loc="outside lower center", ncols=len(COLORS), frameon=False)
    return figure


def _draw(axes: Axes, bars: Sequence[Bar], lanes: list[str]) -> None:
    whole = max(bar.end_s for bar in bars)
    for kind, color in COLORS.items():
        chosen = [bar for bar in bars if bar.kind == kind]
        if not chosen:
            continue
        least = VISIBLE_SHARE * whole if kind == "send" else 0.0
        axes.barh(
            [lanes.index(bar.lane) for bar in chosen],
            [max(bar.seconds, least) for bar in chosen],
            left=[bar.start_s for bar in chosen],
            height=BAR, color=color, edgecolor="white", linewidth=0.3 if kind != "send" else 0,
            label=kind, zorder=2 if kind == "send" else 1,
        )  # fmt: skip
        for bar in chosen:
            if kind not in ("send", "wait") and bar.seconds > LABEL_SHARE * whole:
                axes.text(
                    (bar.start_s + bar.end_s) / 2, lanes.index(bar.lane), str(bar.block),
                    ha="center", va="center", fontsize=7,
                    color="black" if kind in DARK_TEXT else "white",
                )  # fmt: skip


def as_svg(figure: Figure, label: str) -> str:
    """A figure as an SVG element, the same bytes every time; its text stays text.

    Args:
        figure: What is drawn.
        label: What a screen reader says in its place.
    """
    import matplotlib as mpl  # noqa: PLC0415

    stream = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hiar"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    start = f'<svg role="img" aria-label="{escape(label)}"'
    return start + text[text.index("<svg") + len("<svg") :]
