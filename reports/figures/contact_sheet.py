"""Frames of all runs over time: rows are runs, columns are times, a block a prompt (Fig. 3)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import pyplot as plt

from drift.decode import open_video
from reports.figures.style import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from reports.measurements import Measurements
    from reports.records import VideoRecord

    Picture = NDArray[np.uint8]

PICTURE_IN = 1.05
GAP = 0.04
"""Between pictures, as a fraction of a picture."""
LABEL_IN = 1.55
HEAD_IN = 0.55


def draw(measurements: Measurements, folder: Path) -> list[Path]:
    """Draws the figure.

    Args:
        measurements: At least one sampled run.
        folder: Where the files go.

    Returns:
        The files written.
    """
    spec = measurements.preset.figures
    runs = [run for run in measurements.preset.runs if run.name in measurements.videos]
    first = measurements.videos[runs[0].name]
    prompts = first[: spec.sheet_prompts]
    height = sum(HEAD_IN + PICTURE_IN * len(runs) for _ in prompts) + 0.1
    width = LABEL_IN + PICTURE_IN * len(spec.sheet_times_s) + 0.1
    figure = plt.figure(figsize=(width, height))
    top = height
    for video in prompts:
        top -= HEAD_IN
        rows = [_same_prompt(measurements.videos[run.name], video) for run in runs]
        mosaic = build_mosaic([pick_frames(v, spec.sheet_times_s) for v in rows])
        _block(figure, mosaic, top - PICTURE_IN * len(runs), len(spec.sheet_times_s))
        _words(figure, top, video.prompt, [run.label for run in runs], spec.sheet_times_s)
        top -= PICTURE_IN * len(runs)
    return save_figure(figure, folder, "contact_sheet")


def _same_prompt(videos: Sequence[VideoRecord], wanted: VideoRecord) -> VideoRecord:
    return next(video for video in videos if video.prompt_index == wanted.prompt_index)


def pick_frames(video: VideoRecord, times_s: Sequence[float]) -> list[Picture]:
    """Decodes the frames of a video that are shown at some times.

    Args:
        video: The video.
        times_s: Seconds from the start; a time past the end gives the last frame.

    Returns:
        uint8 [height, width, 3] RGB, one a time.
    """
    wanted = [min(round(time * video.fps), video.num_frames - 1) for time in times_s]
    with open_video(video.path) as reader:
        found = {index: frame for index, frame in enumerate(reader.frames()) if index in wanted}
    return [found[index] for index in wanted]


def build_mosaic(rows: Sequence[Sequence[Picture]]) -> Picture:
    """Lays pictures of one size out on white, a row of the sheet a row.

    Args:
        rows: uint8 [height, width, 3] pictures.

    Returns:
        uint8 [sheet height, sheet width, 3].
    """
    gap = max(1, round(GAP * rows[0][0].shape[1]))
    padded = [
        [np.pad(p, ((0, gap), (0, gap), (0, 0)), constant_values=255) for p in row] for row in rows
    ]
    return np.concatenate([np.concatenate(row, axis=1) for row in padded], axis=0)


def _block(figure: Figure, mosaic: Picture, bottom_in: float, columns: int) -> None:
    width_in, height_in = figure.get_size_inches()
    rows_in = PICTURE_IN * columns * mosaic.shape[0] / mosaic.shape[1]
    axis = figure.add_axes(
        (
            LABEL_IN / width_in,
            bottom_in / height_in,
            PICTURE_IN * columns / width_in,
            rows_in / height_in,
        )
    )
    axis.imshow(mosaic, interpolation="nearest", aspect="auto")
    axis.axis("off")


def _words(
    figure: Figure, top_in: float, prompt: str, labels: list[str], times_s: Sequence[float]
) -> None:
    width_in, height_in = figure.get_size_inches()

    def write(x_in: float, y_in: float, text: str, **style: Any) -> None:
        # `$` starts mathematics in matplotlib, and a prompt may hold one.
        text = text.replace("$", r"\$")
        figure.text(x_in / width_in, y_in / height_in, text, fontsize=8, **style)

    title = textwrap.shorten(prompt, width=95, placeholder=" …")
    write(0.08, top_in + 0.26, f"“{title}”", fontweight="bold", va="bottom")
    for index, time in enumerate(times_s):
        x_in = LABEL_IN + PICTURE_IN * (index + 0.48)
        write(x_in, top_in + 0.06, f"{time:g} s", ha="center", va="bottom")
    for index, label in enumerate(labels):
        y_in = top_in - PICTURE_IN * (index + 0.5)
        write(0.08, y_in, label.replace(", ", ",\n"), va="center")
