"""`report.html`: one self-contained page that fetches nothing and also works without its script."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from drift.record.tables import RunData
from drift.report.charts import MAX_LINES, change_histogram, score_bar, segment_chart
from drift.report.videos import view_videos
from drift.score.score import VideoScore
from drift.video.discover import printable

SHOWN = frozenset(
    {
        *("schema", "videos", "scored", "passed_over", "prompts", "segments", "preset", "metrics"),
        *("drift_score", "leave_one_out", "weight_sensitivity", "correlation", "cuts", "failed"),
        *("media", "warnings", "bootstrap", "provenance", "invalid", "worst"),
    }
)
"""Fields of `summary.json` that have a place of their own; all others are listed under More."""


def render_report(
    run: RunData,
    scores: Sequence[VideoScore],
    summary: dict[str, Any],
    thumbnails: Mapping[str, str] | None = None,
) -> str:
    """Renders the page of a run.

    Args:
        run: Everything that was measured.
        scores: Scores of the videos of status `ok`, in order of path.
        summary: Content of `summary.json`.
        thumbnails: Content hash -> WebP in base 64; none by default.

    Returns:
        HTML text, in which every name that comes from outside is escaped.
    """
    script, style = _part("report.js"), _part("report.css")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["num"] = format_number
    environment.filters["signed"] = format_signed
    environment.filters["name"] = printable
    environment.filters["words"] = lambda key: str(key).replace("_", " ")
    environment.tests["rows"] = _are_rows
    videos = view_videos(run, scores, thumbnails or {})
    return environment.from_string(_part("report.html.j2")).render(
        summary=summary,
        config=run.config,
        videos=videos,
        charts={name: _charts(name, summary, scores) for name in summary["metrics"]},
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


def _charts(name: str, summary: dict[str, Any], scores: Sequence[VideoScore]) -> tuple[str, str]:
    """Segment curves and histogram of the total changes of one metric."""
    entry = summary["metrics"][name]
    parts = [score.metrics[name] for score in scores]
    steps = summary["segments"] - 1
    return (
        segment_chart(
            [part.segment_means for part in parts], entry["segment_means"], entry["segment_ci95"]
        ),
        change_histogram(
            [part.total_change for part in parts],
            entry["total_change"],
            [steps * end for end in entry["ci95"]],
        ),
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
