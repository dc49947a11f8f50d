"""Reads the runs and metrics that a command line names."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from drift.cli.layout import names_of
from drift.errors import UsageError

if TYPE_CHECKING:
    from drift.compare.comparable import NamedRun
    from drift.metrics.networks.settings import MetricSettings
    from drift.record.tables import RunData
    from drift.score.config import ScoreConfig


def read_runs(paths: Sequence[Path]) -> list["NamedRun"]:
    """Reads the runs of these folders and gives each a name of its own.

    Raises:
        UsageError: a folder is given twice, or holds no run.
    """
    from drift.compare.comparable import NamedRun  # noqa: PLC0415
    from drift.record.tables import FRAMES_FILE, read_frames  # noqa: PLC0415

    return [
        NamedRun(name=name, data=read_frames(path / FRAMES_FILE))
        for name, path in zip(_names(paths), paths, strict=True)
    ]


def run_or_folder(
    place: Path,
    config: "ScoreConfig",
    settings: "MetricSettings",
    *,
    recursive: bool = False,
    workers: int | None = None,
) -> "RunData":
    """Reads a run, or measures the videos of a folder as one that is not kept.

    Args:
        place: Folder of a run, or of videos.
        config: Metrics and segments, for videos.
        settings: Device, precision and weights, for videos.
        recursive: Look for videos in sub-folders too.
        workers: Processes that measure; None takes one a CPU.
    """
    from drift.record.tables import FRAMES_FILE, read_frames  # noqa: PLC0415
    from drift.run.pool import num_cpus  # noqa: PLC0415
    from drift.run.progress import video_counter  # noqa: PLC0415
    from drift.run.unsaved import measure_unsaved  # noqa: PLC0415

    if (place / FRAMES_FILE).is_file():
        return read_frames(place / FRAMES_FILE)
    return measure_unsaved(
        [place],
        config,
        settings,
        recursive=recursive,
        workers=workers or num_cpus(),
        on_video=video_counter(),
    )


def chosen_metrics(text: str | None) -> tuple[str, ...] | None:
    """The metrics of `--metrics A,B`; None if the option was not given.

    Raises:
        UsageError: a name is unknown.
    """
    from drift.metrics.registry import resolve_metrics  # noqa: PLC0415

    if text is None:
        return None
    try:
        return resolve_metrics(names_of(text))
    except ValueError as error:
        raise UsageError(str(error)) from None


def _names(paths: Sequence[Path]) -> list[str]:
    """Last part of each path, or the whole path if several runs share the last part."""
    resolved = [path.resolve() for path in paths]
    for path, real in zip(paths, resolved, strict=True):
        if resolved.count(real) > 1:
            raise UsageError(f"{path} is given twice; name each run once")
    count = Counter(real.name for real in resolved)
    return [
        real.name if count[real.name] == 1 else str(path)
        for path, real in zip(paths, resolved, strict=True)
    ]
