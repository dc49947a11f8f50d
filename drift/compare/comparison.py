"""Compares runs video by video: differences with intervals, tests, effect sizes, rankings."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.compare.comparable import NamedRun, check_comparable, invalid_mark, select
from drift.compare.pairing import PairBy, Pairing, pair_videos
from drift.errors import UsageError
from drift.metrics.preset import Preset
from drift.record.summary import score_videos
from drift.record.tables import RunData
from drift.score.aggregate import mean
from drift.seams.record import OF_A_VIDEO, seams_of_run
from drift.stats import sensitivity
from drift.stats.bootstrap import (
    ABOUT,
    bootstrap_means,
    change_interval,
    percentile_interval,
)
from drift.stats.power import prompt_means, smallest_difference
from drift.stats.significance import cohen_dz, holm, share_above, sign_flip_p

COMPARE_SCHEMA = "drift-compare/1"
FEW_PROMPTS = 10
MOST_DIFFERENT = 5


def compare_runs(
    runs: Sequence[NamedRun],
    *,
    pair_by: PairBy = "prompt",
    metrics: Sequence[str] | None = None,
    preset: Preset | None = None,
    allow_mixed: bool = False,
) -> dict[str, Any]:
    """Compares each run with the first, the baseline, over the videos that all of them have.

    The score of a pair is the mean over its videos; a run's score here is the mean over pairs.
    Differences are run minus baseline, so a negative one is less drift. Intervals are paired
    bootstraps over prompts, and tests flip the signs of prompts. Holm's correction treats the
    scores of all runs as one family, the metrics of the score as another, and the metrics beside
    it as a third. Seams are those of all videos of a run.

    Args:
        runs: Two or more runs with different names.
        pair_by: `prompt`, or `name`, which says that equal names were made from equal prompts.
        metrics: Metrics to compare on; None takes those of the runs, which must agree.
        preset: Preset to score every run with; None keeps those of the runs, which must agree.
        allow_mixed: Compare although settings, frame rates or lengths differ, with a note.

    Returns:
        Data for JSON.

    Raises:
        UsageError: runs that cannot be compared.
    """
    if len(runs) < 2:
        raise UsageError("one run only; give two or more to compare")
    used = [select(run, metrics, preset) for run in runs]
    notes = check_comparable(used, allow_mixed=allow_mixed)
    pairing = pair_videos([run.data for run in used], pair_by)
    columns = ("score", *used[0].data.config.metrics)
    tables = _pair_tables(used, pairing, columns)
    comparisons = [
        _comparison(run.name, tables[0], table, columns, pairing)
        for run, table in zip(used[1:], tables[1:], strict=True)
    ]
    beside = {name for name in columns[1:] if not used[0].data.preset.term(name).weight}
    weighted = [i for i, name in enumerate(columns) if name not in beside]
    _adjust(comparisons, beside)
    means = [[mean(column) for column in table.T.tolist()] for table in tables]
    heading = _heading(used, pairing)
    return {
        **heading,
        "runs": [
            _run_entry(run, dict(zip(columns, row, strict=True)))
            for run, row in zip(runs, means, strict=True)
        ],
        "comparisons": comparisons,
        "rank_stability": _rank_stability([[row[i] for i in weighted] for row in means]),
        "unpaired": {r.name: list(p) for r, p in zip(used, pairing.unpaired, strict=True)},
        "notes": [*invalid_mark(used).values(), *notes, *_size_notes(heading["prompts"])],
        "bootstrap": ABOUT,
    }


def _pair_tables(
    runs: Sequence[NamedRun], pairing: Pairing, columns: Sequence[str]
) -> list[NDArray[np.float64]]:
    """A table a run, of (pairs, columns)."""
    return [
        pair_table(run.data, videos, columns)
        for run, videos in zip(runs, pairing.videos, strict=True)
    ]


def _run_entry(run: NamedRun, means: dict[str, float]) -> dict[str, Any]:
    """A run's means over pairs, and the seams of all its videos."""
    score = means.pop("score")
    return {"name": run.name, "score": score, "drift": means, "seams": _seams(run.data)}


def _heading(runs: Sequence[NamedRun], pairing: Pairing) -> dict[str, Any]:
    """Says what is compared, and `invalid` if some run was measured with random weights."""
    data = runs[0].data
    return {
        "schema": COMPARE_SCHEMA,
        **invalid_mark(runs),
        "preset": {"name": data.preset.name, "sha256": data.preset.sha256},
        "segments": data.config.segments,
        "metrics": list(data.config.metrics),
        "pair_by": pairing.by,
        "pairs": len(pairing.names),
        "prompts": len(set(pairing.clusters)),
        "baseline": runs[0].name,
    }


def pair_table(
    data: RunData, videos: Mapping[str, Sequence[str]], columns: Sequence[str]
) -> NDArray[np.float64]:
    """Score and drifts of each pair, means over its videos, as (pairs, columns)."""
    scores = {score.path: score for score in score_videos(data, data.preset)}
    rows = []
    for paths in videos.values():
        parts = [scores[path] for path in paths]
        drifts = [mean(part.metrics[name].drift for part in parts) for name in columns[1:]]
        rows.append([mean(part.score for part in parts), *drifts])
    return np.array(rows)


def _comparison(
    name: str,
    baseline: NDArray[np.float64],
    run: NDArray[np.float64],
    columns: Sequence[str],
    pairing: Pairing,
) -> dict[str, Any]:
    """Compares one run with the baseline."""
    draws = None
    if len(set(pairing.clusters)) > 1:
        draws = bootstrap_means(np.concatenate([baseline, run], axis=1), pairing.clusters)
        draws = draws.reshape(len(draws), 2, len(columns))
    differences = {
        column: _difference(
            baseline[:, i], run[:, i], pairing.clusters, None if draws is None else draws[:, :, i]
        )
        for i, column in enumerate(columns)
    }
    change = run[:, 0] - baseline[:, 0]
    order = sorted(range(len(change)), key=lambda i: (-abs(change[i]), pairing.names[i]))
    return {
        "run": name,
        "score": differences.pop("score"),
        "metrics": differences,
        "most_different": [
            {
                "pair": pairing.names[i],
                "baseline": float(baseline[i, 0]),
                "run": float(run[i, 0]),
                "difference": float(change[i]),
            }
            for i in order[:MOST_DIFFERENT]
        ],
    }


def _difference(
    baseline: NDArray[np.float64],
    run: NDArray[np.float64],
    clusters: Sequence[str],
    draws: NDArray[np.float64] | None,
) -> dict[str, Any]:
    """Compares two runs in one column, the score or a metric's drift.

    Args:
        baseline: (pairs,) values of the baseline.
        run: (pairs,) values of the other run.
        clusters: (pairs,) name of each pair's cluster.
        draws: (resamples, 2) bootstrapped means; None for one prompt, which gives no interval.
    """
    change = (run - baseline).tolist()
    low, high = mean(baseline.tolist()), mean(run.tolist())
    relative = None if draws is None else change_interval(draws)
    return {
        "baseline": low,
        "run": high,
        "difference": mean(change),
        "ci95": None if draws is None else percentile_interval(draws[:, 1] - draws[:, 0]).tolist(),
        "percent": 100 * (high / low - 1) if low > 0 else None,
        "percent_ci95": None if relative is None else [100 * bound for bound in relative],
        "smallest_detectable": _smallest_detectable(change, clusters),
        "effect_size_dz": cohen_dz(change),
        "share_baseline_lower": share_above(change),
        "p": None if draws is None else sign_flip_p(change, clusters),
        "p_holm": None,
    }


def _smallest_detectable(change: Sequence[float], clusters: Sequence[str]) -> float | None:
    """Smallest true difference that this many prompts show in 80 of 100 comparisons."""
    means = prompt_means(change, clusters)
    return None if len(means) < 2 else smallest_difference(float(means.std(ddof=1)), len(means))


def _seams(data: RunData) -> dict[str, Any]:
    """Metric -> seam of a run's videos; empty where none was measured."""
    return {
        name: {key: entry[key] for key in OF_A_VIDEO}
        for name, entry in seams_of_run(data)["metrics"].items()
    }


def _adjust(comparisons: Sequence[dict[str, Any]], beside: Collection[str]) -> None:
    """Fills in the p-values after Holm's correction, for each family apart."""
    scores = [comparison["score"] for comparison in comparisons]
    entries = [item for comparison in comparisons for item in comparison["metrics"].items()]
    counted = [entry for name, entry in entries if name not in beside]
    others = [entry for name, entry in entries if name in beside]
    for family in (scores, counted, others):
        if family and all(entry["p"] is not None for entry in family):
            adjusted = holm([entry["p"] for entry in family])
            for entry, value in zip(family, adjusted, strict=True):
                entry["p_holm"] = value


def _rank_stability(means: Sequence[Sequence[float]]) -> dict[str, Any] | None:
    """How far the ranking of the runs survives random weights; None for one metric.

    Args:
        means: (runs, 1 + metrics) score and drifts of each run.
    """
    if len(means[0]) < 3:
        return None
    ranking = [row[0] for row in means]
    draws = sensitivity.random_weight_scores([row[1:] for row in means])
    taus = [sensitivity.kendall_tau(ranking, draw) for draw in draws]
    known = [tau for tau in taus if tau is not None]
    return {
        "weights": "Dirichlet(1, ..., 1)",
        "draws": sensitivity.DRAWS,
        "seed": sensitivity.SEED,
        "kendall_tau": mean(known) if known else None,
        "same_order": float(np.mean([tau == 1 for tau in taus])),
        "same_lowest": float((draws.argmin(axis=1) == int(np.argmin(ranking))).mean()),
    }


def _size_notes(num_prompts: int) -> list[str]:
    if num_prompts == 1:
        return ["one prompt: no interval and no test, since nothing says how much prompts differ"]
    if num_prompts < FEW_PROMPTS:
        return [
            f"{num_prompts} prompts: the intervals are too narrow for so few, and no p-value can "
            f"be below {2 / 2**num_prompts:.2g}"
        ]
    return []
