"""Reads the runs and metrics that a command line names."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from drift.cli.layout import names_of
from drift.errors import UsageError

if TYPE_CHECKING:
    from drift.compare.comparable import NamedRun


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
