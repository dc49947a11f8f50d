"""Tables of the videos whose prompt changes: each metric while one prompt holds."""

from collections.abc import Sequence
from typing import Any

from drift.record.tables import RunData
from drift.score.aggregate import mean
from drift.score.prompt_parts import prompt_parts


def prompt_changes(run: RunData) -> dict[str, Any] | None:
    """The field `prompt_changes` of `summary.json`.

    Args:
        run: Everything that was measured.

    Returns:
        `parts`, means over videos of their first, second, ... prompt; and `videos`, the parts of
        each. None if no scored video has a prompt that changes and a known frame rate.
    """
    videos: list[dict[str, Any]] = []
    for row in run.rows:
        fps = run.config.fps or row.media.get("fps")
        if row.status == "ok" and row.schedule and fps:
            parts = prompt_parts(
                row.values,
                row.schedule,
                num_frames=int(row.media["frames"]),
                num_segments=run.config.segments,
                fps=float(fps),
                frames=row.frames,
            )
            videos.append({"path": row.path, "parts": parts})
    if not videos:
        return None
    longest = max(len(video["parts"]) for video in videos)
    parts = [
        _over_videos(
            [video["parts"][index] for video in videos if len(video["parts"]) > index],
            run.config.metrics,
        )
        for index in range(longest)
    ]
    return {"parts": parts, "videos": videos}


def _over_videos(parts: Sequence[dict[str, Any]], metrics: Sequence[str]) -> dict[str, Any]:
    """Means over videos of one part of each; a video whose part is too short has none."""
    return {
        "videos": len(parts),
        "metrics": {
            name: {
                key: _mean_of_known([part["metrics"][name][key] for part in parts])
                for key in ("mean", "total_change")
            }
            for name in metrics
        },
    }


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None
