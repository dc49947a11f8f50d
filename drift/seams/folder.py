"""Seams of every video of a folder, or of a finished run; failures are listed by name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from drift.errors import UsageError
from drift.metrics.settings import MetricSettings
from drift.provenance import collect_provenance
from drift.record.tables import FRAMES_FILE, read_frames
from drift.run.pool import in_workers
from drift.seams.borders import sidecar_borders
from drift.seams.pairs import DEFAULT_METRICS, PAIR_METRICS, pair_values
from drift.seams.periodic import (
    MIN_BORDERS,
    TEMPORAL_STRIDE,
    Borders,
    Seam,
    Values,
    estimate_borders,
    measure_seam,
    periodogram,
)
from drift.video.decode import BrokenVideoError
from drift.video.discover import VideoFile, find_videos

SCHEMA = "seams/1"
WINDOW_S = 5.0
"""Length of the window of 21 latent frames that Self-Forcing and its kin attend to, about 5 s."""

OnVideo = Callable[[str, int], None]
"""Called when a video is measured, with its name and the number of videos."""


@dataclass(frozen=True, kw_only=True)
class PairSeries:
    """The values of one video.

    Attributes:
        path: Name in results.
        cluster: Prompt, else file name: videos of one cluster are resampled together.
        values: Metric -> one value a pair of frames.
        fps: Frames a second; None if the file does not say.
        borders: Borders that its sidecar tells, if it does.
        failure: Status and reason of a video that could not be measured, else empty.
    """

    path: str
    cluster: str
    values: Mapping[str, Values] = field(default_factory=dict)
    fps: float | None = None
    borders: Borders | None = None
    failure: tuple[str, str] | None = None


def measure_folder(
    place: Path,
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    given: Borders | None = None,
    settings: MetricSettings | None = None,
    recursive: bool = False,
    workers: int = 1,
    on_video: OnVideo = lambda *_: None,
) -> dict[str, Any]:
    """Measures the seams of a folder of videos, or of a run that `drift score` wrote.

    Args:
        place: Folder of videos; or a run with pair metrics, whose values are read, not measured.
        metrics: Names in `PAIR_METRICS`.
        given: Borders; None reads them from sidecars, and estimates them where those tell none.
        settings: Device and weights of learned metrics.
        recursive: Look in sub-folders too.
        workers: Processes that decode.
        on_video: Called with the name of each video when it is measured, and their number.

    Returns:
        The record `seams/1`.

    Raises:
        UsageError: If nothing can be measured, or the sidecars tell different blocks.
    """
    settings = settings or MetricSettings()
    if (place / FRAMES_FILE).is_file():
        series = list(_read_run(place, metrics))
    else:
        found = find_videos([place], recursive=recursive, skip=place / ".none").videos
        series = _measure(found, metrics, settings, workers, on_video)
    whole = [one for one in series if one.failure is None]
    borders = _borders(whole, metrics, given) if whole else given
    enough = [_num_borders(one, borders) >= MIN_BORDERS for one in series]
    kept = [one for one, has in zip(series, enough, strict=True) if has]
    failed = [_failure(one) for one, has in zip(series, enough, strict=True) if not has]
    if not kept or borders is None:
        reasons = "; ".join(f"{one['path']}: {one['reason']}" for one in failed[:3])
        raise UsageError(f"{place}: no video has seams to measure ({reasons})")
    return {
        "schema": SCHEMA,
        "first": borders.first,
        "block": borders.block,
        "borders_from": borders.source,
        "metrics": {name: _entry(name, kept, borders) for name in metrics},
        "videos": [
            {"path": one.path, "metrics": {name: _entry(name, [one], borders) for name in metrics}}
            for one in kept
        ],
        "failed": failed,
        "provenance": collect_provenance(learned=any(PAIR_METRICS[m].learned for m in metrics)),
    }


def _failure(one: PairSeries) -> dict[str, str]:
    short = ("too_short", f"fewer than {MIN_BORDERS} borders of blocks")
    status, reason = one.failure or short
    return {"path": one.path, "status": status, "reason": reason}


def _num_borders(one: PairSeries, borders: Borders | None) -> int:
    if borders is None or one.failure is not None:
        return 0
    return len(borders.pairs(min(map(len, one.values.values()))))


def _read_run(run: Path, metrics: Sequence[str]) -> Iterator[PairSeries]:
    """Pair metrics that a run has measured."""
    data = read_frames(run / FRAMES_FILE)
    for row in data.rows:
        if row.status != "ok":
            yield PairSeries(path=row.path, cluster=row.cluster, failure=(row.status, row.reason))
            continue
        values = {}
        for name in metrics:
            metric = PAIR_METRICS[name]
            if not metric.learned or metric.learned not in row.values:
                raise UsageError(
                    f"{run}: the run holds no {name} of consecutive frames; give the folder of "
                    "videos instead, or --metrics with lpips, dino that the run has measured"
                )
            values[name] = np.array([metric.distance(v) for v in row.values[metric.learned]])
        yield PairSeries(
            path=row.path, cluster=row.cluster, values=values,
            fps=data.config.fps or row.media.get("fps"),
        )  # fmt: skip


def _measure(
    videos: Sequence[VideoFile],
    metrics: Sequence[str],
    settings: MetricSettings,
    workers: int,
    on_video: OnVideo,
) -> list[PairSeries]:
    """The videos' values in their order, decoded here or in worker processes."""
    one = partial(_measure_video, metrics=tuple(metrics), settings=settings)
    series = {}
    for measured in in_workers(one, videos, workers):
        series[measured.path] = measured
        on_video(measured.path, len(videos))
    return [series[video.path] for video in videos]


def _measure_video(
    video: VideoFile, *, metrics: tuple[str, ...], settings: MetricSettings
) -> PairSeries:
    try:
        values, fps = pair_values(video.file, metrics, settings)
    except BrokenVideoError as error:
        failure = (error.status, error.reason)
        return PairSeries(path=video.path, cluster=video.cluster, failure=failure)
    return PairSeries(
        path=video.path,
        cluster=video.cluster,
        values={name: np.array(series) for name, series in values.items()},
        fps=fps,
        borders=sidecar_borders(video.file),
    )


def _borders(
    series: Sequence[PairSeries], metrics: Sequence[str], given: Borders | None
) -> Borders:
    """Given borders, else those of all sidecars, else an estimate from the first metric."""
    told = {one.borders for one in series}
    if given is not None:
        return given
    if len(told) == 1 and (borders := next(iter(told))) is not None:
        return borders
    if any(told):
        raise UsageError(
            "sidecars tell different blocks, or some tell none; give --first and --block, or one "
            "folder for each kind of video"
        )
    try:
        values = [one.values[metrics[0]] for one in series]
        return estimate_borders(values, PAIR_METRICS[metrics[0]].floor)
    except ValueError as error:
        raise UsageError(f"{error}; give --first and --block") from None


def _entry(name: str, series: Sequence[PairSeries], borders: Borders) -> dict[str, Any]:
    metric = PAIR_METRICS[name]
    values = [one.values[name] for one in series]
    seam: Seam = measure_seam(
        values, [borders] * len(series), [one.cluster for one in series], floor=metric.floor
    )
    powers = [
        periodogram(one.values[name], metric.floor, _periods(borders, one.fps)) for one in series
    ]
    shared = set.intersection(*(set(power) for power in powers))
    return {
        "unit": metric.unit,
        **asdict(seam),
        "found": seam.found,
        "periodogram": {
            period: float(np.mean([power[period] for power in powers]))
            for period in powers[0]
            if period in shared
        },
    }


def _periods(borders: Borders, fps: float | None) -> list[float]:
    """A block, the VAE's stride, and a window of 5 s where the rate is known."""
    window = [] if fps is None else [round(WINDOW_S * fps)]
    return sorted({TEMPORAL_STRIDE, borders.block, *window})
