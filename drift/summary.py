"""The content of `summary.json`: means over videos, intervals over prompts, failures, warnings."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from drift.bootstrap import LEVEL, RESAMPLES, SEED, bootstrap_ci
from drift.preset import Preset
from drift.records import SUMMARY_SCHEMA
from drift.registry import METRICS
from drift.score import MetricScore, VideoScore, score_video
from drift.tables import RunData

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
        )
        for row in run.rows
        if row.status == "ok"
    ]


def build_summary(run: RunData, scores: Sequence[VideoScore], preset: Preset) -> dict[str, Any]:
    """Builds `summary.json`.

    Statistics are over the scored videos; what failed stands in `failed`. `videos` counts all
    videos found, `scored` those behind the numbers.

    Args:
        run: What was measured.
        scores: The scored videos.
        preset: Scales and weights.

    Returns:
        Data for JSON without any number that is not finite. With no scored video, `metrics` is
        empty and the score's value is null.
    """
    metrics = run.config.metrics
    weights = preset.weights(metrics)
    media = _media(run)
    failed = [row for row in run.rows if row.status != "ok"]
    return {
        "schema": SUMMARY_SCHEMA,
        "videos": len(run.rows),
        "scored": len(scores),
        "passed_over": run.passed_over,
        "prompts": len({score.cluster for score in scores}),
        "segments": run.config.segments,
        "preset": {"name": preset.name, "sha256": preset.sha256},
        "metrics": {
            name: _metric_summary(name, weights[name], scores, preset)
            for name in (metrics if scores else ())
        },
        "drift_score": _drift_score(scores, preset, metrics),
        "failed": [{"path": r.path, "status": r.status, "reason": r.reason} for r in failed],
        "media": media,
        "warnings": [*run.warnings, *_warnings(media, scores)],
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED, "level": LEVEL, "unit": "prompt"},
        "provenance": dict(run.provenance),
    }


def _metric_summary(
    name: str, weight: float, scores: Sequence[VideoScore], preset: Preset
) -> dict[str, Any]:
    spec, parts = METRICS[name], [score.metrics[name] for score in scores]
    clusters = [score.cluster for score in scores]
    signed = _mean(part.slope for part in parts)
    errors = [part.vde for part in parts if part.vde is not None]
    return {
        "unit": spec.slope_unit,
        "better": spec.better,
        "family": preset.term(name).family,
        "segment_means": [_mean(c) for c in zip(*(p.segment_means for p in parts), strict=True)],
        "segment_ci95": bootstrap_ci([p.segment_means for p in parts], clusters).tolist(),
        "mean_slope": signed,
        "mean_abs_slope": _mean(abs(part.slope) for part in parts),
        "ci95": bootstrap_ci([part.slope for part in parts], clusters).tolist(),
        "noise_floor": _mean(part.noise_floor for part in parts),
        "floor_corrected_slope": _floor_corrected(parts),
        "total_change": _mean(part.total_change for part in parts),
        "label": spec.label(signed),
        "labels": dict(sorted(Counter(part.label for part in parts).items())),
        "scale": preset.term(name).scale,
        "weight": weight,
        "drift": _mean(part.drift for part in parts),
        "framepack_delta15": _mean(part.framepack_delta15 for part in parts),
        "vde": _mean(errors) if errors else None,
        "vde_videos": len(errors),
    }


def _floor_corrected(parts: Sequence[MetricScore]) -> float:
    """Root mean square slope beyond that of shuffled segments, >= 0."""
    excess = _mean(part.slope**2 for part in parts) - _mean(part.null_square for part in parts)
    return math.sqrt(max(0.0, excess))


def _drift_score(
    scores: Sequence[VideoScore], preset: Preset, metrics: tuple[str, ...]
) -> dict[str, Any]:
    missing = preset.missing(metrics)
    values = [score.score for score in scores]
    interval = bootstrap_ci(values, [score.cluster for score in scores]) if scores else None
    return {
        "value": _mean(values) if values else None,
        "ci95": None if interval is None else interval.tolist(),
        "partial": bool(missing),
        "missing_metrics": list(missing),
    }


def _mean(values: Iterable[float]) -> float:
    """Mean whose rounding does not depend on the order of the values."""
    items = list(values)
    return math.fsum(items) / len(items)


def _media(run: RunData) -> list[dict[str, Any]]:
    """How many scored videos are stored in which way, most frequent first."""
    kinds = Counter(
        tuple(row.media[key] for key in MEDIA_KEYS) for row in run.rows if row.status == "ok"
    )
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], str(item[0])))
    return [{**dict(zip(MEDIA_KEYS, k, strict=True)), "videos": n} for k, n in ordered]


def _warnings(media: Sequence[dict[str, Any]], scores: Sequence[VideoScore]) -> list[str]:
    """What makes the numbers hard to compare."""
    words = {
        "codec": "codecs: compression alone moves both fast metrics",
        "fps": "frame rates: a segment is a different length of time",
        "frames": "lengths: drift over a longer video is not the same quantity",
    }
    size = {(kind["width"], kind["height"]) for kind in media}
    lines = [
        f"mixed {text} ({', '.join(sorted({str(kind[key]) for kind in media}))})"
        for key, text in words.items()
        if len({kind[key] for kind in media}) > 1
    ]
    if len(size) > 1:
        sizes = ", ".join(f"{w}x{h}" for w, h in sorted(size))
        lines.append(f"mixed frame sizes: sharpness depends strongly on the size ({sizes})")
    if scores and len({score.cluster for score in scores}) == 1:
        lines.append("one prompt only: an interval of width 0 says nothing")
    return lines
