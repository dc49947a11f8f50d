"""The prompts that a comparison needs, from the variance of runs that are there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.compare.comparable import NamedRun, check_comparable, invalid_mark
from drift.compare.comparison import FEW_PROMPTS, pair_table
from drift.compare.pairing import PairBy, pair_videos
from drift.errors import UsageError
from drift.record.summary import score_videos
from drift.stats.bootstrap import LEVEL, percentile_interval
from drift.stats.power import (
    ALPHA,
    MIN_PROMPTS,
    POWER,
    RESAMPLES,
    SEED,
    deviation_draws,
    power,
    prompt_means,
    prompts_needed,
)

POWER_SCHEMA = "drift-power/1"
CURVE_POINTS = 40
CURVE_REACH = 3  # the curve ends at so many times the prompts that are needed

Column = NDArray[np.float64]


def power_of_runs(
    runs: Sequence[NamedRun],
    *,
    detect: float = 0.2,
    relative: bool = True,
    pair_by: PairBy = "prompt",
) -> dict[str, Any]:
    """Prompts needed for 80 % power at 5 %, for the score and the drift of each metric.

    Args:
        runs: One run, or two that are comparable. Paired numbers need two, since one run does not
            tell how far two models agree on which prompts are hard.
        detect: Difference to find: a share of the first run's mean, or an absolute drift.
        relative: Whether `detect` is a share.
        pair_by: What the videos of a pair share; see `pair_videos`.

    Returns:
        Data for JSON.

    Raises:
        UsageError: runs that cannot be compared, fewer than two prompts, or nothing to detect.
    """
    if not detect > 0:
        raise UsageError(f"--detect {detect:g}: the difference must be above 0, such as 20%")
    if len(runs) == 2:
        check_comparable(runs)
    columns = [_columns(run) for run in runs]
    pairs, notes = _paired_differences(runs, pair_by)
    entries = {
        name: _entry([each[name] for each in columns], pairs.get(name), detect, relative)
        for name in columns[0]
    }
    return {
        "schema": POWER_SCHEMA,
        **invalid_mark(runs),
        "runs": [
            {"name": run.name, "prompts": len(each["score"])}
            for run, each in zip(runs, columns, strict=True)
        ],
        "detect": {"value": detect, "relative": relative},
        "alpha": ALPHA,
        "power": POWER,
        "score": entries.pop("score"),
        "metrics": entries,
        "notes": [*notes, *_size_notes([len(each["score"]) for each in columns])],
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED, "level": LEVEL, "unit": "prompt"},
    }


def _columns(run: NamedRun) -> dict[str, Column]:
    """Score and drifts of a run, a value a prompt."""
    scores = score_videos(run.data, run.data.preset)
    clusters = [score.cluster for score in scores]
    if len(set(clusters)) < 2:
        raise UsageError(
            f"{run.name} has {len(set(clusters))} prompt; two or more tell how much prompts differ"
        )
    values = {"score": [score.score for score in scores]}
    for name in run.data.config.metrics:
        values[name] = [score.metrics[name].drift for score in scores]
    return {name: prompt_means(each, clusters) for name, each in values.items()}


def _size_notes(prompts: Sequence[int]) -> list[str]:
    """Says so where an interval over prompts rests on too few of them."""
    few = min(prompts)
    return [f"{few} prompts: the intervals are too narrow for so few"] * (few < FEW_PROMPTS)


def _paired_differences(
    runs: Sequence[NamedRun], by: PairBy
) -> tuple[dict[str, Column], list[str]]:
    """Second run minus the first in each column, a value a prompt that both have.

    Returns:
        The columns, empty where nothing can be paired, and a note that says why.
    """
    if len(runs) == 1:
        return {}, ["no paired numbers: they need a second run of the same prompts"]
    try:
        pairing = pair_videos([run.data for run in runs], by)
    except UsageError as error:
        return {}, [f"no paired numbers: {error}"]
    if len(set(pairing.clusters)) < 2:
        return {}, ["no paired numbers: the runs share one prompt only"]
    columns = ("score", *runs[0].data.config.metrics)
    first, second = (
        pair_table(run.data, videos, columns)
        for run, videos in zip(runs, pairing.videos, strict=True)
    )
    differences = {
        name: prompt_means((second - first)[:, i].tolist(), pairing.clusters)
        for i, name in enumerate(columns)
    }
    return differences, []


def _entry(
    columns: Sequence[Column], pairs: Column | None, detect: float, relative: bool
) -> dict[str, Any]:
    """Prompts needed in one column; None where nothing could be detected."""
    mean = float(columns[0].mean())
    difference = detect * mean if relative else detect
    pooled = float(np.sqrt(np.mean([column.var(ddof=1) for column in columns])))
    draws = np.sqrt(np.mean([deviation_draws(column) ** 2 for column in columns], axis=0))
    entry: dict[str, Any] = {
        "mean": mean,
        "deviation": pooled,
        "difference": difference,
        "unpaired": None,
        "paired": None,
    }
    if difference > 0:
        entry["unpaired"] = _needed(pooled, draws, difference, paired=False)
        if pairs is not None:
            spread = float(pairs.std(ddof=1))
            entry["paired"] = {
                "deviation": spread,
                **_needed(spread, deviation_draws(pairs), difference, paired=True),
            }
    return entry


def _needed(deviation: float, draws: Column, difference: float, *, paired: bool) -> dict[str, Any]:
    """Prompts needed, their interval over prompts, and power against the number of prompts."""
    prompts = prompts_needed(deviation, difference, paired=paired)
    low, high = (
        prompts_needed(bound, difference, paired=paired)
        for bound in percentile_interval(draws).tolist()
    )
    reach = max(2 * MIN_PROMPTS, CURVE_REACH * prompts)
    points = np.unique(np.geomspace(MIN_PROMPTS, reach, CURVE_POINTS).round().astype(int)).tolist()
    return {
        "prompts": prompts,
        "ci95": [low, high],
        "curve": [
            {"prompts": n, "power": power(deviation, difference, n, paired=paired)} for n in points
        ],
    }
