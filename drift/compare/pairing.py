"""Pairs the videos of several runs by their prompt, or by their file name if told to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

from drift.errors import UsageError
from drift.record.tables import RunData

PairBy: TypeAlias = Literal["prompt", "name"]


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """The pairs of videos that every run has.

    Args:
        by: Property that the videos of a pair share.
        videos: For each run, name of the pair -> paths of the run's videos in it, in sorted order
            of the names. A pair by prompt holds all videos of the prompt, by name one video.
        clusters: (pairs,) prompt, or file name without one; pairs of one cluster are resampled
            together.
        unpaired: For each run, paths of its scored videos that some other run lacks.
    """

    by: PairBy
    videos: tuple[dict[str, tuple[str, ...]], ...]
    clusters: tuple[str, ...]
    unpaired: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pairs."""
        return tuple(self.videos[0])


def pair_videos(runs: Sequence[RunData], by: PairBy = "prompt") -> Pairing:
    """Pairs the scored videos of runs.

    Args:
        runs: Two or more runs.
        by: `prompt`, or `name` (path without suffix), which says that equal names were made from
            equal prompts.

    Returns:
        The pairs that all runs have, at least one.

    Raises:
        UsageError: there is no pair, a video has no prompt to pair by, or two videos of a run have
            one name.
    """
    if by == "prompt":
        _check_prompts(runs)
    groups = [_groups(run, by) for run in runs]
    shared = sorted(set.intersection(*(set(group) for group in groups)))
    if not shared:
        first, second = (next(iter(group), "no scored video") for group in groups[:2])
        remedy = "try --pair-by name" if by == "prompt" else "leave out --pair-by name"
        raise UsageError(
            f"the runs share no {by} (for instance {first!r} and {second!r}), so nothing can "
            f"be paired; {remedy}"
        )
    clusters = {row.path: row.cluster for row in runs[0].rows}
    return Pairing(
        by=by,
        videos=tuple({name: group[name] for name in shared} for group in groups),
        clusters=tuple(clusters[groups[0][name][0]] for name in shared),
        unpaired=tuple(
            tuple(sorted(path for name in set(group) - set(shared) for path in group[name]))
            for group in groups
        ),
    )


def _check_prompts(runs: Sequence[RunData]) -> None:
    scored = [row for run in runs for row in run.rows if row.status == "ok"]
    without = [row.path for row in scored if not row.prompt]
    if without:
        raise UsageError(
            f"{len(without)} of {len(scored)} videos have no prompt (such as {without[0]}), and "
            "equal names need not mean equal prompts. Score again with --prompts FILE, a CSV with "
            "the columns file and prompt (nothing is decoded again); or say that equal names are "
            "equal prompts with --pair-by name"
        )


def _groups(run: RunData, by: PairBy) -> dict[str, tuple[str, ...]]:
    """Name of the pair -> paths of the scored videos in it."""
    groups: dict[str, tuple[str, ...]] = {}
    for row in run.rows:
        if row.status == "ok":
            name = row.prompt if by == "prompt" else str(PurePosixPath(row.path).with_suffix(""))
            groups[name] = (*groups.get(name, ()), row.path)
    twice = [paths for paths in groups.values() if len(paths) > 1]
    if by == "name" and twice:
        raise UsageError(f"{' and '.join(twice[0])} have one name without suffix; rename one")
    return groups
