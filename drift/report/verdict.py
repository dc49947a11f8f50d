"""What a run shows, in a few sentences at the top of its page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from drift.report.videos import VideoView

MOST_DIRECTIONS = 4  # directions that are named; the page has the others


def verdict(videos: Sequence[VideoView], summary: Mapping[str, Any]) -> list[str]:
    """Sentences on drift, seams and frozen videos.

    Args:
        videos: Scored videos.
        summary: Content of `summary.json`.

    Returns:
        Plain text, most important first; empty if no video was scored.
    """
    if not videos:
        return []
    return [*_drift(videos), *_seams(summary.get("seams")), *_frozen(summary.get("frozen", []))]


def _drift(videos: Sequence[VideoView]) -> list[str]:
    far = [(video, metric) for video in videos for metric in video.far]
    if not far:
        return ["No video changes by half the scale of any metric."]
    count = len({video.rank for video, _ in far})
    directions = Counter(metric.part.label for _, metric in far).most_common(MOST_DIRECTIONS)
    named = ", ".join(f"{words} ({times})" for words, times in directions)
    verb = "changes" if count == 1 else "change"
    line = (
        f"{count:,} of {len(videos):,} videos {verb} by half the scale of a metric or more: {named}"
    )
    since = [video.since_s(metric) for video, metric in far]
    first = min((second for second in since if second is not None), default=None)
    return [f"{line}." if first is None else f"{line}; the first from second {first:.0f} on."]


def _seams(seams: Mapping[str, Any] | None) -> list[str]:
    if not seams or not seams["metrics"]:
        return []
    found = [
        f"{name} {entry['seam_ratio']:.2f} times its neighbours' (at most "
        f"{entry['largest_other_phase']:.2f} elsewhere)"
        for name, entry in seams["metrics"].items()
        if entry["found"]
    ]
    where = f"{seams['first']}, then every {seams['block']} frames"
    if seams["borders_from"] == "estimated":
        where += ", estimated"
    if not found:
        return [f"No jump at the borders of blocks is shown (after frame {where})."]
    return [f"The borders of blocks jump (after frame {where}): {' and '.join(found)}."]


def _frozen(paths: Sequence[str]) -> list[str]:
    if not paths:
        return []
    count = "1 video stands" if len(paths) == 1 else f"{len(paths)} videos stand"
    return [f"{count} still for a segment or longer: frozen, which no metric calls drift."]
