"""`report.html`: one self-contained page that fetches nothing and also works without its script."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from drift.record.tables import RunData
from drift.report.charts import (
    MAX_LINES,
    change_chart,
    change_histogram,
    distance_chart,
    score_bar,
    seam_chart,
)
from drift.report.verdict import verdict
from drift.report.videos import FAR, WORST, VideoView, view_videos
from drift.score.score import VideoScore
from drift.video.discover import printable

SHOWN = frozenset(
    {
        *("schema", "videos", "scored", "passed_over", "prompts", "segments", "preset", "metrics"),
        *("drift_score", "leave_one_out", "weight_sensitivity", "correlation", "cuts", "failed"),
        *("media", "warnings", "bootstrap", "provenance", "invalid", "worst", "frozen", "seams"),
        "prompt_changes",
    }
)
"""Fields of `summary.json` that have a place of their own; all others are listed under More."""


def render_report(
    run: RunData,
    scores: Sequence[VideoScore],
    summary: dict[str, Any],
    thumbnails: Mapping[str, str] | None = None,
    large: Mapping[str, str] | None = None,
) -> str:
    """Renders the page of a run.

    Args:
        run: Everything that was measured.
        scores: Scores of the videos of status `ok`, in order of path.
        summary: Content of `summary.json`.
        thumbnails: Content hash -> WebP in base 64; none by default.
        large: Content hash -> the same large, of the videos that drift most; none by default.

    Returns:
        HTML text, in which every name that comes from outside is escaped.
    """
    script, style = _part("report.js"), _part("report.css")
    seams = summary.get("seams") or {"metrics": {}, "videos": []}
    of_videos = {video["path"]: video["metrics"] for video in seams["videos"]}
    videos = view_videos(run, scores, thumbnails or {}, large or {}, of_videos)
    return _template().render(
        summary=summary,
        config=run.config,
        videos=videos,
        verdict=verdict(videos, summary),
        worst=videos[:WORST],
        far=FAR,
        charts={
            name: _charts(index, name, summary, videos)
            for index, name in enumerate(summary["metrics"])
        },
        distance_charts={
            name: distance_chart(curve["seconds"], curve["mean"], curve["ci95"])
            for name, entry in summary["metrics"].items()
            if (curve := entry["by_distance"]) is not None
        },
        seams=seams,
        seam_charts={
            name: seam_chart(entry["profile"], seams["first"], entry["ci95"])
            for name, entry in seams["metrics"].items()
        },
        bar=_score_bar(summary["drift_score"]),
        without_detail=sum(1 for video in videos if not any(m.chart for m in video.metrics)),
        without_picture=sum(1 for video in videos if not video.picture),
        more={key: value for key, value in summary.items() if key not in SHOWN},
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        style=style,
        provenance={k: v for k, v in summary["provenance"].items() if k != "config"},
        settings=_settings(summary["provenance"].get("config", {})),
        max_lines=MAX_LINES,
    )


def _template() -> jinja2.Template:
    """The page's template with its filters; an undefined name in it is an error."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["num"] = format_number
    environment.filters["signed"] = format_signed
    environment.filters["seconds"] = format_seconds
    environment.filters["name"] = printable
    environment.filters["words"] = lambda key: str(key).replace("_", " ")
    environment.tests["rows"] = _are_rows
    return environment.from_string(_part("report.html.j2"))


def _are_rows(values: Iterable[Any]) -> bool:
    """Whether all values are objects with the same fields, so that a table can show them."""
    items = list(values)
    return bool(items) and all(
        isinstance(item, dict) and item and list(item) == list(items[0]) for item in items
    )


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, with words in place of a None that means something."""
    return {**config, **({"fps": "every frame"} if config.get("fps", 0) is None else {})}


def _part(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _charts(
    index: int, name: str, summary: dict[str, Any], videos: Sequence[VideoView]
) -> tuple[str, str]:
    """Lines of change of one metric; of many videos also a histogram of their total changes."""
    entry = summary["metrics"][name]
    lengths = {video.duration_s for video in videos}
    same = len({None if s is None else round(s, 1) for s in lengths}) == 1
    curve = change_chart(
        [video.metrics[index].line for video in videos],
        entry["scale"],
        next(iter(lengths)) if same else None,
    )
    if len(videos) <= MAX_LINES:
        return curve, ""
    steps = summary["segments"] - 1
    return curve, change_histogram(
        [video.metrics[index].part.total_change for video in videos],
        entry["total_change"],
        [steps * end for end in entry["ci95"]],
    )


def _score_bar(drift: dict[str, Any]) -> str:
    if drift["value"] is None:
        return ""
    return score_bar(drift["value"], drift["ci95"], drift.get("noise_floor"))


def format_number(value: Any) -> str:
    """A number with four significant digits, a dash for None, and text unchanged."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return text.replace("-", "−") if value < 0 else text


def format_signed(value: float | None) -> str:
    """A number with its sign and three significant digits, `0` for 0, and a dash for None."""
    if value is None:
        return "–"
    return f"{value:+.3g}".replace("-", "−") if value else "0"


def format_seconds(value: float) -> str:
    """Seconds as a viewer counts them: whole ones from two on, else tenths."""
    return f"{value:.0f} s" if value >= 2 else f"{value:.1f} s"
