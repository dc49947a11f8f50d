"""VBench-Long's values for each clip, summarised by video.

Upstream intends to average over the clips of a video and then over videos, but it groups by each
clip's own path, so that its aggregate is the mean over all clips. Both means are computed here, and
the change from the first clip to the last, which VBench-Long does not report.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from statistics import fmean
from typing import Any

_CLIP_NUMBER = re.compile(r"_(\d{3,}|full)$")


def video_of(path: str) -> str:
    """Name, without suffix, of the video from which a clip was cut.

    Source:
        Vchitect/VBench 45e79ec vbench2_beta_long/utils.py, split_video_into_clips.
    """
    return _CLIP_NUMBER.sub("", PurePosixPath(path).stem)


def summarise_clips(entries: Sequence[dict[str, Any]]) -> dict[str, float | int]:
    """Means over clips and over videos, and the change from first to last clip.

    Args:
        entries: Upstream's list of clips, each with ``video_path`` and ``video_results``.

    Returns:
        ``videos``, ``clips``, ``mean_over_clips``, ``mean_over_videos``, ``first_clips``,
        ``last_clips``, ``last_minus_first``; values in the list's own unit.
    """
    clips: dict[str, list[float]] = defaultdict(list)
    for entry in sorted(entries, key=lambda e: (len(e["video_path"]), e["video_path"])):
        clips[video_of(entry["video_path"])].append(float(entry["video_results"]))
    first = fmean(values[0] for values in clips.values())
    last = fmean(values[-1] for values in clips.values())
    return {
        "videos": len(clips),
        "clips": len(entries),
        "mean_over_clips": fmean(value for values in clips.values() for value in values),
        "mean_over_videos": fmean(fmean(values) for values in clips.values()),
        "first_clips": first,
        "last_clips": last,
        "last_minus_first": last - first,
    }
