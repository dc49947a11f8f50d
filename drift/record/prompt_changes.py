"""Tables of the videos whose prompt changes: each metric while one prompt holds."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from drift.record.tables import RunData
from drift.score.aggregate import mean
from drift.score.prompt_parts import prompt_parts, seconds_until_followed
from drift.stats.bootstrap import bootstrap_ci

Delays: TypeAlias = tuple[str, list[tuple[float | None, float]]]
"""Prompt of a video, and of each change the seconds until it is followed and the part's length."""


def prompt_changes(run: RunData) -> dict[str, Any] | None:
    """The field `prompt_changes` of `summary.json`.

    Args:
        run: Everything that was measured.

    Returns:
        `parts`, means over videos of their first, second, ... prompt; `videos`, the parts of each;
        and `followed`, how soon the new prompt is followed. None if no scored video has a prompt
        that changes and a known frame rate.
    """
    videos: list[dict[str, Any]] = []
    delays: dict[str, list[Delays]] = {}
    for row in run.rows:
        fps = run.config.fps or row.media.get("fps")
        if row.status == "ok" and row.schedule and fps:
            num_frames = int(row.media["frames"])
            parts = prompt_parts(
                row.values,
                row.schedule,
                num_frames=num_frames,
                num_segments=run.config.segments,
                fps=float(fps),
                frames=row.frames,
            )
            video: dict[str, Any] = {"path": row.path, "parts": parts}
            for name, leads in row.leads.items():
                changes = seconds_until_followed(
                    leads,
                    row.schedule,
                    num_frames=num_frames,
                    fps=float(fps),
                    frames=row.frames.get(name),
                )
                video[f"{name}_followed_s"] = [seconds for seconds, _ in changes]
                if changes:
                    delays.setdefault(name, []).append((row.cluster, changes))
            videos.append(video)
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
    followed = {name: _followed(each) for name, each in delays.items()}
    return {"parts": parts, "followed": followed, "videos": videos}


def _followed(videos: Sequence[Delays]) -> dict[str, Any]:
    """How soon new prompts are followed, over videos; a change that is not counts its whole part.

    So `mean_s` is at least this long if `not_within_part` is not 0.
    """
    clusters = [cluster for cluster, _ in videos]
    seconds = [
        mean(part if delay is None else delay for delay, part in changes) for _, changes in videos
    ]
    shares = [mean(float(delay is not None) for delay, _ in changes) for _, changes in videos]
    intervals = bootstrap_ci(np.column_stack([seconds, shares]), clusters).tolist()
    return {
        "videos": len(videos),
        "changes": sum(len(changes) for _, changes in videos),
        "not_within_part": sum(delay is None for _, changes in videos for delay, _ in changes),
        "mean_s": mean(seconds),
        "ci95": intervals[0],
        "share": mean(shares),
        "share_ci95": intervals[1],
    }


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
