"""Fig. 3: frames over time of every autoregressive run, a block for each prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reports.figures.drawing import Drawing
from reports.figures.frame_grid import GridBlock, GridRow, draw_grid

if TYPE_CHECKING:
    from reports.records.measurements import Measurements
    from reports.records.video_records import VideoRecord


def draw(measurements: Measurements) -> Drawing:
    """Draws the first prompts of all sampled runs."""
    spec = measurements.preset.figures
    runs = [run for run in measurements.shown_runs if measurements.videos.get(run.name)]
    if not runs:
        return Drawing(needs=("a sampled run",))
    blocks = [
        GridBlock(
            title=f"“{video.prompt}”",
            rows=tuple(
                GridRow(
                    label=run.label,
                    video=_of_prompt(measurements.videos[run.name], video.prompt_index),
                    why="this prompt was not sampled",
                )
                for run in runs
            ),
        )
        for video in measurements.videos[runs[0].name][: spec.sheet_prompts]
    ]
    return Drawing(
        figure=draw_grid(blocks, spec.sheet_times_s), data=frames_data(blocks, spec.sheet_times_s)
    )


def _of_prompt(videos: Sequence[VideoRecord], prompt_index: int) -> VideoRecord | None:
    return next((video for video in videos if video.prompt_index == prompt_index), None)


def frames_data(
    blocks: Sequence[GridBlock], times_s: Sequence[float]
) -> tuple[dict[str, Any], ...]:
    """Lists the frames of a grid as flat records."""
    return tuple(
        {
            "prompt": row.video.prompt,
            "row": row.label,
            "video": f"{row.video.path.parent.name}/{row.video.path.name}",
            "seed": row.video.seed,
            "time_s": time,
            "frame": min(round(time * row.video.fps), row.video.num_frames - 1),
        }
        for block in blocks
        for row in block.rows
        if row.video is not None
        for time in times_s
    )
