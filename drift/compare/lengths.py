"""Drift against video length: scores of the first seconds, without decoding again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from drift.compare.comparable import NamedRun, invalid_mark
from drift.errors import UsageError
from drift.record.summary import score_videos
from drift.record.tables import RunData, VideoRow
from drift.score.aggregate import aggregate
from drift.score.score import is_too_short
from drift.stats.bootstrap import ABOUT

LENGTHS_SCHEMA = "drift-lengths/1"


def drift_by_length(runs: Sequence[NamedRun], seconds: Sequence[float]) -> dict[str, Any]:
    """Scores each run as if all its videos had ended early, for each of the given lengths.

    Every length is cut into as many segments as the run has, so segments grow with the length.
    Intervals are over prompts.

    Args:
        runs: Runs to score, at least one.
        seconds: Lengths above 0, in any order.

    Returns:
        Data for JSON, with the lengths in rising order.

    Raises:
        UsageError: a length that some video does not reach, or that is too short for the segments.
    """
    if not seconds or min(seconds) <= 0:
        raise UsageError(f"lengths {_words(seconds) or 'none'}: give one or more above 0 seconds")
    lengths = sorted(set(seconds))
    return {
        "schema": LENGTHS_SCHEMA,
        **invalid_mark(runs),
        "seconds": lengths,
        "runs": [_run(run, lengths) for run in runs],
        "bootstrap": ABOUT,
    }


def _run(run: NamedRun, lengths: Sequence[float]) -> dict[str, Any]:
    data, preset = run.data, run.data.preset
    entries = []
    for length in lengths:
        scores = score_videos(first_seconds(run, length), preset)
        if not scores:
            raise UsageError(f"{run.name}: no video was scored; see its summary.json")
        found = aggregate(scores, preset, data.config.metrics)
        score = found["drift_score"]
        entries.append(
            {
                "seconds": length,
                "score": {key: score[key] for key in ("value", "ci95", "noise_floor")},
                "metrics": {
                    name: {key: entry[key] for key in ("drift", "drift_ci95", "total_change")}
                    for name, entry in found["metrics"].items()
                },
            }
        )
    rows = [row for row in data.rows if row.status == "ok"]
    return {
        "name": run.name,
        "videos": len(rows),
        "prompts": len({row.cluster for row in rows}),
        "segments": data.config.segments,
        "preset": {"name": preset.name, "sha256": preset.sha256},
        "metrics": list(data.config.metrics),
        "missing_metrics": list(preset.missing(data.config.metrics)),
        "lengths": entries,
        "provenance": dict(data.provenance),
    }


def first_seconds(run: NamedRun, seconds: float) -> RunData:
    """Cuts the videos of a run to their first seconds: frames at times from 0 to `seconds`.

    Args:
        run: Run to cut.
        seconds: Length, above 0. A video may be one frame short of it: 320 frames at 16 a second
            count as 20 s, although the last frame starts at 19.94 s.

    Raises:
        UsageError: a scored video is shorter, has no frame rate, or has too few frames by then.
    """
    rows = tuple(_cut(run, row, seconds) if row.status == "ok" else row for row in run.data.rows)
    return replace(run.data, rows=rows)


def _cut(run: NamedRun, row: VideoRow, seconds: float) -> VideoRow:
    where = f"{run.name}, {row.path}"
    fps, frames = run.data.config.fps or row.media["fps"], int(row.media["frames"])
    if not fps:
        raise UsageError(f"{where}: its file gives no frame rate; score it again with --fps")
    wanted = round(seconds * fps)
    if frames < wanted:
        raise UsageError(
            f"{where}: {frames / fps:.4g} s; {seconds:g} s is longer: leave that length out"
        )
    kept = min(frames, wanted + 1)
    if is_too_short(kept, run.data.config.segments):
        raise UsageError(
            f"{where}: {kept} frames in {seconds:g} s; {run.data.config.segments} segments need "
            "two each: leave that length out"
        )
    values, indices = {}, {}
    for name, series in row.values.items():
        index = row.frames.get(name, range(len(series)))
        # A pair metric has one value fewer than frames, also after the cut.
        last = kept if name in row.frames else kept - (frames - len(series))
        count = sum(1 for frame in index if frame < last)
        values[name] = series[:count]
        if name in row.frames:
            indices[name] = row.frames[name][:count]
    return replace(row, media={**row.media, "frames": kept}, values=values, frames=indices)


def _words(seconds: Sequence[float]) -> str:
    return ", ".join(f"{length:g}" for length in seconds)
