"""`drift compare`: compares runs, paired video by video."""

import argparse
from pathlib import Path
from typing import Any

from drift.cli.layout import add_pair_by, aligned, between, deliver, number
from drift.cli.runs import chosen_metrics, read_runs
from drift.errors import UsageError
from drift.video.discover import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = (
        "Compare the drift of runs over the videos that all of them have. The first run is the "
        "baseline; differences are run minus baseline, so below 0 is less drift. Intervals are "
        "paired bootstraps over prompts, p-values flip the signs of prompts (all patterns up to "
        "16 prompts), Holm corrects them over runs. Nothing is decoded."
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    add_pair_by(parser)
    parser.add_argument("--metrics", metavar="A,B", help="compare on these metrics only")
    parser.add_argument(
        "--preset", metavar="FILE", help="score every run with this preset (v1, or a file)"
    )
    parser.add_argument(
        "--allow-mixed",
        action="store_true",
        help="compare runs of different settings, frame rates or lengths all the same",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Compares the runs, writes the result if asked to, and prints it."""
    from drift.compare.comparison import compare_runs  # noqa: PLC0415
    from drift.metrics.preset import load_preset  # noqa: PLC0415

    if len(arguments.runs) < 2:
        raise UsageError(f"{arguments.runs[0]} alone; give two or more runs to compare")
    result = compare_runs(
        read_runs(arguments.runs),
        pair_by=arguments.pair_by,
        metrics=chosen_metrics(arguments.metrics),
        preset=None if arguments.preset is None else load_preset(arguments.preset),
        allow_mixed=arguments.allow_mixed,
    )
    deliver(arguments, result, _text)
    return 0


def _text(result: dict[str, Any]) -> str:
    """The result as text for a terminal."""
    head = (
        f"{result['pairs']} pairs by {result['pair_by']}, {result['prompts']} prompts, "
        f"{result['segments']} segments, preset {result['preset']['name']}; baseline "
        f"{printable(result['baseline'])}\n\n"
    )
    tables = (_scores, _power, _metrics, _seams, _videos)
    parts = [head, *(table(result) for table in tables)]
    stability = result["rank_stability"]
    if stability:
        parts.append(
            "\nmetrics weighted at random: same order of runs in "
            f"{100 * stability['same_order']:.0f} %, same lowest in "
            f"{100 * stability['same_lowest']:.0f} %, mean Kendall tau "
            f"{number(stability['kendall_tau'], '.2f')}\n"
        )
    for name, paths in result["unpaired"].items():
        if paths:
            shown = ", ".join(printable(path) for path in paths[:5])
            more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
            parts.append(f"not paired, in {printable(name)} only: {shown}{more}\n")
    return "".join(parts)


def _scores(result: dict[str, Any]) -> str:
    """Table of scores with a row a run."""
    titles = ("run", "score", "difference", "95 % interval", "percent", "95 % interval")
    rows: list[tuple[str, ...]] = [(*titles, "d_z", "P(base < run)", "p", "p (Holm)")]
    base = result["runs"][0]
    rows.append((printable(base["name"]), f"{base['score']:.4f}", *[""] * 8))
    for comparison in result["comparisons"]:
        entry = comparison["score"]
        rows.append(
            (
                printable(comparison["run"]),
                f"{entry['run']:.4f}",
                f"{entry['difference']:+.4f}",
                between(entry["ci95"], "+.4f"),
                number(entry["percent"], "+.1f"),
                between(entry["percent_ci95"], "+.1f"),
                number(entry["effect_size_dz"], "+.2f"),
                f"{entry['share_baseline_lower']:.2f}",
                number(entry["p"], ".2g"),
                number(entry["p_holm"], ".2g"),
            )
        )
    return aligned(rows)


def _power(result: dict[str, Any]) -> str:
    """The smallest difference of the scores that this many prompts could have shown."""
    lines = []
    for comparison in result["comparisons"]:
        smallest = comparison["score"]["smallest_detectable"]
        shows = (
            "are too few to show any difference at 5 %"
            if smallest is None
            else f"show a difference of {smallest:.4f} in 80 of 100 comparisons, less more rarely"
        )
        lines.append(f"{printable(comparison['run'])}: {result['prompts']} prompts {shows}\n")
    return "".join(lines)


def _metrics(result: dict[str, Any]) -> str:
    """Table of drifts with a row a run and metric."""
    rows = [("run", "drift of", "baseline", "run", "difference", "95 % interval", "p (Holm)")]
    for comparison in result["comparisons"]:
        for name, entry in comparison["metrics"].items():
            rows.append(
                (
                    printable(comparison["run"]),
                    name,
                    f"{entry['baseline']:.4f}",
                    f"{entry['run']:.4f}",
                    f"{entry['difference']:+.4f}",
                    between(entry["ci95"], "+.4f"),
                    number(entry["p_holm"], ".2g"),
                )
            )
    return "\n" + aligned(rows)


def _seams(result: dict[str, Any]) -> str:
    """Table of seams with a row a run and metric; empty where no run has any."""
    rows = [("run", "seam ratio of", "ratio", "95 % interval", "other phases", "seams")]
    rows += [
        (
            printable(run["name"]),
            name,
            f"{entry['seam_ratio']:.3f}",
            between(entry["ci95"], ".3f"),
            f"at most {entry['largest_other_phase']:.3f}",
            "yes" if entry["found"] else "not shown",
        )
        for run in result["runs"]
        for name, entry in run["seams"].items()
    ]
    return "\n" + aligned(rows) if len(rows) > 1 else ""


def _videos(result: dict[str, Any]) -> str:
    """Table of the pairs whose scores differ most."""
    rows = [("run", "baseline", "run", "difference", "pairs that differ most")]
    rows += [
        (
            printable(comparison["run"]),
            f"{pair['baseline']:.4f}",
            f"{pair['run']:.4f}",
            f"{pair['difference']:+.4f}",
            printable(pair["pair"])[:80],
        )
        for comparison in result["comparisons"]
        for pair in comparison["most_different"]
    ]
    return "\n" + aligned(rows)
