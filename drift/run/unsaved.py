"""Measures videos for a single use: nothing is written."""

from collections.abc import Callable, Sequence
from pathlib import Path

from drift.metrics.networks.settings import MetricSettings
from drift.metrics.preset import preset_v1
from drift.record.tables import RunData
from drift.run.measure import Task
from drift.run.plan import make_plan
from drift.run.pool import measure_all
from drift.run.run_data import run_data
from drift.score.config import ScoreConfig
from drift.video.discover import find_videos

OnVideo = Callable[[str, int], None]
"""Called when a video is measured, with its name and the number of videos."""


def measure_unsaved(
    places: Sequence[Path],
    config: ScoreConfig,
    settings: MetricSettings,
    *,
    recursive: bool = False,
    workers: int = 1,
    on_video: OnVideo = lambda *_: None,
) -> RunData:
    """Measures every video of some folders, as `score_folder` does, without a run folder.

    Args:
        places: Folders of videos.
        config: Metrics and segments.
        settings: Device, precision, batch and weights folder of the learned metrics.
        recursive: Look in sub-folders too.
        workers: Number of processes, which changes no number.
        on_video: Called with the name of each video when it is measured, and their number.

    Returns:
        The data of the run; videos that could not be measured have another status than `ok`.

    Raises:
        UsageError: There is no video, or weights are missing.
    """
    no_run = places[0] / ".none"  # no video and no record has ever been there
    found = find_videos(places, recursive=recursive, skip=no_run)
    plan = make_plan(config, settings)
    tasks = [Task.of(video, no_run, plan) for video in found.videos]
    records = {}
    for done in measure_all(tasks, workers):
        records[done.path] = done.record
        on_video(done.path, len(tasks))
    return run_data(found, records, plan, preset_v1())
