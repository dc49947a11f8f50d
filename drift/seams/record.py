"""Seams of the videos of a run, from values that it measured; nothing is decoded."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from drift.errors import UsageError
from drift.record.tables import RunData, VideoRow
from drift.seams.pairs import DEFAULT_METRICS, PAIR_METRICS
from drift.seams.periodic import (
    MIN_BORDERS,
    TEMPORAL_STRIDE,
    Borders,
    Values,
    estimate_borders,
    measure_seam,
    periodogram,
)

SCHEMA = "seams/1"
OF_A_VIDEO = ("seam_ratio", "ci95", "largest_other_phase", "found")
"""Fields of a video's seam in the summary of a run, which may have a thousand videos."""
WINDOW_S = 5.0
"""Length of the window of 21 latent frames that Self-Forcing and its kin attend to, about 5 s."""


def seams_record(
    data: RunData,
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    blocks: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Measures the seams of a run, over all its videos and of each one.

    Args:
        data: Run that measured what the metrics are made of.
        metrics: Names in `PAIR_METRICS`.
        blocks: Frames of the first block and of each later one; None takes what the run was given,
            else what the sidecars told, else an estimate.

    Returns:
        The record `seams/1`.

    Raises:
        UsageError: If nothing can be measured, or the sidecars tell different blocks.
    """
    _check_measured(data, metrics)
    whole = [row for row in data.rows if row.status == "ok"]
    blocks = blocks or data.config.blocks
    given = blocks and Borders(first=blocks[0], block=blocks[1], source="given")
    borders = _borders(whole, metrics, given) if whole else given
    kept = [row for row in whole if _has_borders(row, borders)]
    measured = {row.path for row in kept}
    failed = [_failure(row) for row in data.rows if row.path not in measured]
    if not kept or borders is None:
        reasons = "; ".join(f"{one['path']}: {one['reason']}" for one in failed[:3])
        raise UsageError(f"no video has seams to measure ({reasons})")
    return {
        "schema": SCHEMA,
        "first": borders.first,
        "block": borders.block,
        "borders_from": borders.source,
        "metrics": {name: _entry(name, kept, borders) for name in metrics},
        "videos": [
            {"path": row.path, "metrics": {name: _entry(name, [row], borders) for name in metrics}}
            for row in kept
        ],
        "failed": failed,
        "provenance": dict(data.provenance),
    }


def seams_of_run(data: RunData) -> dict[str, Any]:
    """The seams that stand in a run's summary and report.

    Returns:
        `first`, `block`, `borders_from` and `metrics` as in the record, and `videos` with a few of
        its fields; or empty `metrics` and `videos`, and a `reason`.
    """
    metrics = [name for name, pair in PAIR_METRICS.items() if pair.metric in data.config.metrics]
    try:
        record = seams_record(data, metrics=metrics)
    except UsageError as error:
        return {"metrics": {}, "videos": [], "reason": str(error)}
    videos = [
        {
            "path": video["path"],
            "metrics": {
                name: {key: entry[key] for key in OF_A_VIDEO}
                for name, entry in video["metrics"].items()
            },
        }
        for video in record["videos"]
    ]
    about = {key: record[key] for key in ("first", "block", "borders_from", "metrics")}
    return {**about, "videos": videos}


def _check_measured(data: RunData, metrics: Sequence[str]) -> None:
    if not metrics:
        raise UsageError("no metric of the run tells changes between frames; score difference too")
    if data.config.fps is not None:
        raise UsageError(
            f"the run sampled {data.config.fps:g} frames a second, and blocks are counted in the "
            "frames of the file; score it without --fps"
        )
    absent = [name for name in metrics if PAIR_METRICS[name].metric not in data.config.metrics]
    if absent:
        needed = ", ".join(PAIR_METRICS[name].metric for name in absent)
        raise UsageError(
            f"the run has no {needed}, of which {', '.join(absent)} is made; give the folder of "
            "videos, or --metrics that the run can tell"
        )


def _failure(row: VideoRow) -> dict[str, str]:
    short = ("too_short", f"fewer than {MIN_BORDERS} borders of blocks")
    status, reason = short if row.status == "ok" else (row.status, row.reason)
    return {"path": row.path, "status": status, "reason": reason}


def _has_borders(row: VideoRow, borders: Borders | None) -> bool:
    num_pairs = int(row.media["frames"]) - 1
    return borders is not None and len(borders.pairs(num_pairs)) >= MIN_BORDERS


def _borders(rows: Sequence[VideoRow], metrics: Sequence[str], given: Borders | None) -> Borders:
    """Given borders, else those of all sidecars, else an estimate from the first metric."""
    if given is not None:
        return given
    told = {row.blocks for row in rows}
    if len(told) == 1 and (blocks := next(iter(told))) is not None:
        return Borders(first=blocks[0], block=blocks[1], source="sidecar")
    if any(told):
        raise UsageError(
            "sidecars tell different blocks, or some tell none; give --first and --block, or one "
            "folder for each kind of video"
        )
    try:
        series = [_values(row, metrics[0]) for row in rows]
        return estimate_borders(series, PAIR_METRICS[metrics[0]].floor)
    except ValueError as error:
        raise UsageError(f"{error}; give --first and --block") from None


def _values(row: VideoRow, name: str) -> Values:
    pair = PAIR_METRICS[name]
    return pair.of_values(np.array(row.values[pair.metric], dtype=np.float64))


def _entry(name: str, rows: Sequence[VideoRow], borders: Borders) -> dict[str, Any]:
    metric = PAIR_METRICS[name]
    series = [_values(row, name) for row in rows]
    seam = measure_seam(series, borders, [row.cluster for row in rows], floor=metric.floor)
    powers = [
        periodogram(values, metric.floor, _periods(borders, row.media.get("fps")))
        for values, row in zip(series, rows, strict=True)
    ]
    shared = set.intersection(*(set(power) for power in powers))
    return {
        "unit": metric.unit,
        **{key: _as_list(value) for key, value in asdict(seam).items()},
        "found": seam.found,
        "periodogram": {
            period: float(np.mean([power[period] for power in powers]))
            for period in powers[0]
            if period in shared
        },
    }


def _as_list(value: Any) -> Any:
    """A tuple as the list that JSON makes of it, so that a record equals its file."""
    return list(value) if isinstance(value, tuple) else value


def _periods(borders: Borders, fps: float | None) -> list[float]:
    """A block, the VAE's stride, and a window of 5 s where the rate is known."""
    window = [] if fps is None else [round(WINDOW_S * fps)]
    return sorted({TEMPORAL_STRIDE, borders.block, *window})
