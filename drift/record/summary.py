"""The content of `summary.json`: means over videos, intervals over prompts, failures, warnings."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from drift.metrics.preset import Preset
from drift.metrics.registry import METRICS, MetricSpec
from drift.record.prompt_changes import prompt_changes
from drift.record.records import SUMMARY_SCHEMA
from drift.record.tables import RunData
from drift.score.aggregate import aggregate
from drift.score.by_distance import by_distance
from drift.score.cuts import CUT_JUMPS
from drift.score.score import VideoScore, score_video
from drift.stats.bootstrap import ABOUT
from drift.video.discover import printable
from drift.video.media import media_warnings

MAX_LISTED = 6  # most values that a warning names one by one
MEDIA_KEYS = ("codec", "pix_fmt", "width", "height", "fps", "frames")


def score_videos(run: RunData, preset: Preset) -> list[VideoScore]:
    """Scores every video of status `ok`, in order of path."""
    return [
        score_video(
            row.path,
            row.cluster,
            row.values,
            preset=preset,
            num_frames=int(row.media["frames"]),
            num_segments=run.config.segments,
            frames=row.frames,
            fps=run.config.fps or row.media["fps"],
            cut_policy=run.config.cut_policy,
        )
        for row in run.rows
        if row.status == "ok"
    ]


def build_summary(run: RunData, scores: Sequence[VideoScore], preset: Preset) -> dict[str, Any]:
    """Builds `summary.json`.

    Statistics are over the scored videos; the others stand in `failed`. `videos` counts all videos
    that were found, `scored` those that were scored.

    Args:
        run: Everything that was measured.
        scores: Scores of the videos of status `ok`.
        preset: Scales and weights.

    Returns:
        Data for JSON, all of whose numbers are finite. With no scored video `metrics` is empty and
        the score's value is None.
    """
    media = _media(run)
    failed = [row for row in run.rows if row.status != "ok"]
    metrics = run.config.metrics
    statistics = aggregate(scores, preset, metrics) if scores else _empty()
    for name, entry in statistics["metrics"].items():
        entry["version"] = run.versions.get(name)
        entry["by_distance"] = _by_distance(name, run)
        if METRICS[name].needs_prompt:
            entry["measured"] = _measured(METRICS[name], run)
    missing = preset.missing(metrics)
    statistics["drift_score"] |= {"partial": bool(missing), "missing_metrics": list(missing)}
    return {
        "schema": SUMMARY_SCHEMA,
        "videos": len(run.rows),
        "scored": len(scores),
        "passed_over": run.passed_over,
        "prompts": len({score.cluster for score in scores}),
        "segments": run.config.segments,
        "preset": {"name": preset.name, "sha256": preset.sha256},
        **statistics,
        "cuts": _cuts(run, scores),
        "frozen": _frozen(run),
        "prompt_changes": prompt_changes(run),
        "failed": [{"path": r.path, "status": r.status, "reason": r.reason} for r in failed],
        "media": media,
        "warnings": [*run.warnings, *_warnings(media, scores, run)],
        "bootstrap": ABOUT,
        "provenance": dict(run.provenance),
    }


def _empty() -> dict[str, Any]:
    """Statistics of a run without a scored video."""
    return {
        "metrics": {},
        "drift_score": {
            "value": None,
            "ci95": None,
            "noise_floor": None,
            "excess": None,
            "excess_ci95": None,
        },
        "leave_one_out": {},
        "weight_sensitivity": None,
        "correlation": None,
        "worst": None,
    }


def _cuts(run: RunData, scores: Sequence[VideoScore]) -> dict[str, Any]:
    """Pairs that look like scene cuts, and how the run treats them."""
    return {
        "policy": run.config.cut_policy,
        "looked_for_in": [name for name in CUT_JUMPS if name in run.config.metrics],
        "pairs": sum(len(score.cuts) for score in scores),
        "videos": [{"path": s.path, "pairs": list(s.cuts)} for s in scores if s.cuts],
    }


def _by_distance(metric: str, run: RunData) -> dict[str, Any] | None:
    """Mean of a metric by distance in time; None unless all videos have its curve and a rate."""
    rows = [row for row in run.rows if row.status == "ok"]
    curves = [row.curves.get(metric) for row in rows]
    rates = [run.config.fps or row.media["fps"] for row in rows]
    known = [(c, r) for c, r in zip(curves, rates, strict=True) if c is not None and r]
    if not known or len(known) < len(rows):
        return None
    return by_distance(known, [row.cluster for row in rows])


def _measured(spec: MetricSpec, run: RunData) -> dict[str, Any]:
    """With what model, and how many frames a second, a metric of prompts was measured."""
    rates = {run.config.fps or row.media["fps"] for row in run.rows if row.status == "ok"}
    return {
        "model": run.config.variant(spec).about,
        "frames_per_s": sorted(rate / run.config.every for rate in rates if rate),
    }


def _frozen(run: RunData) -> list[str]:
    """Paths of the videos whose picture stands still over some segment."""
    return [row.path for row in run.rows if row.frozen]


def _media(run: RunData) -> list[dict[str, Any]]:
    """Kinds of media files with their number of scored videos, most frequent first."""
    kinds = Counter(
        tuple(row.media[key] for key in MEDIA_KEYS) for row in run.rows if row.status == "ok"
    )
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], str(item[0])))
    return [{**dict(zip(MEDIA_KEYS, k, strict=True)), "videos": n} for k, n in ordered]


def _warnings(
    media: Sequence[dict[str, Any]], scores: Sequence[VideoScore], run: RunData
) -> list[str]:
    """Warnings about differences between the videos that affect their values."""
    words = {
        "codec": "codecs: compression alone moves both fast metrics",
        "fps": "frame rates: a segment is a different length of time",
        "frames": "lengths: drift over a longer video is not the same quantity",
    }
    size = {(kind["width"], kind["height"]) for kind in media}
    lines = [
        f"mixed {text} ({_some({kind[key] for kind in media})})"
        for key, text in words.items()
        if len({kind[key] for kind in media}) > 1 and not (key == "fps" and run.config.fps)
    ]
    files = [row.media for row in run.rows if row.status == "ok"]
    lines += media_warnings(files, run.config.fps)
    if len(size) > 1:
        sizes = _some({f"{width}x{height}" for width, height in size})
        lines.append(f"mixed frame sizes: sharpness depends strongly on the size ({sizes})")
    if frozen := _frozen(run):
        count = f"{len(frozen)} video{'s' * (len(frozen) > 1)}"
        lines.append(f"frozen ({count}, such as {printable(frozen[0])}): no change is no quality")
    if scores and len({score.cluster for score in scores}) == 1:
        lines.append("one prompt only: an interval of width 0 says nothing")
    return lines


def _some(values: Iterable[Any]) -> str:
    """The values in order; of many, only their number, the first and the last."""
    ordered = sorted(values, key=lambda value: (isinstance(value, str), value or 0))
    if len(ordered) <= MAX_LISTED:
        return ", ".join(map(str, ordered))
    return f"{len(ordered)} kinds, {ordered[0]} to {ordered[-1]}"
