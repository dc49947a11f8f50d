"""Frames over time: a row for each video, a column for each time, a block for each prompt."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import pyplot as plt

from drift.video.decode import open_video
from reports.render.style import plain

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from reports.records.video_records import VideoRecord

    Picture = NDArray[np.uint8]

PICTURE_IN = 1.05
"""Width of a picture; the height follows from the shape of the video."""
GAP_PX_SHARE = 0.04
"""Gap between pictures as a fraction of a picture's width."""
LABEL_IN = 1.75
HEAD_IN = 0.55
MISSING_IN = 0.42
"""Height of a row that has no video."""
LABEL_CHARS = 26


@dataclass(frozen=True, kw_only=True)
class GridRow:
    """A row: its video, or why there is none."""

    label: str
    video: VideoRecord | None
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class GridBlock:
    """Rows under one heading."""

    title: str
    rows: tuple[GridRow, ...]


def draw_grid(blocks: Sequence[GridBlock], times_s: Sequence[float]) -> Figure:
    """Draws blocks of frames, one picture for each row and time.

    Args:
        blocks: Blocks with at least one row that has a video.
        times_s: Times of the columns, in seconds from the start of the video.
    """
    mosaics = [[_strip(row, times_s) for row in block.rows] for block in blocks]
    heights = [[_row_in(strip, len(times_s)) for strip in strips] for strips in mosaics]
    height = sum(HEAD_IN + sum(rows) for rows in heights) + 0.1
    figure = plt.figure(figsize=(LABEL_IN + PICTURE_IN * len(times_s) + 0.1, height))
    top = height
    for block, strips, rows_in in zip(blocks, mosaics, heights, strict=True):
        _heading(figure, top, block.title, times_s)
        top -= HEAD_IN
        for row, strip, row_in in zip(block.rows, strips, rows_in, strict=True):
            _label(figure, top - row_in / 2, row.label)
            if strip is None:
                _write(figure, LABEL_IN, top - row_in / 2, row.why, va="center", style="italic")
            else:
                _picture(figure, strip, top - row_in, row_in, len(times_s))
            top -= row_in
    return figure


def _strip(row: GridRow, times_s: Sequence[float]) -> Picture | None:
    if row.video is None:
        return None
    frames = [round(time * row.video.fps) for time in times_s]
    return build_mosaic([pick_frames(row.video.path, frames)])


def _row_in(strip: Picture | None, columns: int) -> float:
    if strip is None:
        return MISSING_IN
    height, width = strip.shape[:2]
    return PICTURE_IN * columns * float(height) / float(width)


def pick_frames(path: Path, wanted: Sequence[int]) -> list[Picture]:
    """Decodes some frames of a video.

    Args:
        path: The video.
        wanted: Frame indices; an index past the end gives the last frame.

    Returns:
        One uint8 RGB picture [height, width, 3] for each index.
    """
    found: dict[int, Picture] = {}
    with open_video(path) as reader:
        for index, frame in enumerate(reader.frames()):
            if index in wanted:
                found[index] = frame
    return [found.get(index, frame) for index in wanted]


def build_mosaic(rows: Sequence[Sequence[Picture]]) -> Picture:
    """Lays pictures of one size out on white.

    Args:
        rows: Pictures by row, uint8 [height, width, 3].

    Returns:
        One picture, uint8 [mosaic height, mosaic width, 3].
    """
    gap = max(1, round(GAP_PX_SHARE * rows[0][0].shape[1]))
    padded = [
        [np.pad(p, ((0, gap), (0, gap), (0, 0)), constant_values=255) for p in row] for row in rows
    ]
    return np.concatenate([np.concatenate(row, axis=1) for row in padded], axis=0)


def _picture(figure: Figure, strip: Picture, bottom_in: float, row_in: float, columns: int) -> None:
    width_in, height_in = figure.get_size_inches()
    axis = figure.add_axes((LABEL_IN / width_in, bottom_in / height_in,
                            PICTURE_IN * columns / width_in, row_in / height_in))  # fmt: skip
    axis.imshow(strip, interpolation="nearest", aspect="auto")
    axis.axis("off")


def _heading(figure: Figure, top_in: float, title: str, times_s: Sequence[float]) -> None:
    shown = textwrap.shorten(title, width=98, placeholder=" …")
    _write(figure, 0.08, top_in - 0.29, shown, fontweight="bold", va="bottom")
    for index, time in enumerate(times_s):
        x_in = LABEL_IN + PICTURE_IN * (index + 0.48)
        _write(figure, x_in, top_in - 0.49, f"{time:g} s", ha="center", va="bottom")


def _label(figure: Figure, middle_in: float, label: str) -> None:
    _write(figure, 0.08, middle_in, textwrap.fill(label, LABEL_CHARS), va="center")


def _write(figure: Figure, x_in: float, y_in: float, text: str, **style: Any) -> None:
    width_in, height_in = figure.get_size_inches()
    figure.text(x_in / width_in, y_in / height_in, plain(text), fontsize=8, **style)
