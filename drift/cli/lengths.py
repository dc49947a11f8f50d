"""`drift lengths`: shows how the drift of runs grows with the length of their videos."""

import argparse
from pathlib import Path
from typing import Any

from drift.cli.layout import aligned, between, deliver
from drift.cli.runs import chosen_metrics, read_runs
from drift.errors import UsageError
from drift.video.discover import printable

DEFAULT_SECONDS = "5,10,20"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = (
        "Score the first seconds of every video of each run, as if it had ended there: the drift "
        "within that length, cut into the run's number of segments. Intervals are over prompts. "
        "Nothing is decoded."
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--at", default=DEFAULT_SECONDS, metavar="S,T",
        help=f"lengths in seconds (default {DEFAULT_SECONDS})",
    )  # fmt: skip
    parser.add_argument("--preset", metavar="FILE", help="score with this preset (v1, or a file)")
    parser.add_argument("--metrics", metavar="A,B", help="score on these metrics only")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Scores the lengths, writes the result if asked to, and prints it."""
    from drift.compare.comparable import select  # noqa: PLC0415
    from drift.compare.lengths import drift_by_length  # noqa: PLC0415
    from drift.metrics.preset import load_preset  # noqa: PLC0415

    preset = None if arguments.preset is None else load_preset(arguments.preset)
    metrics = chosen_metrics(arguments.metrics)
    runs = [select(one, metrics, preset) for one in read_runs(arguments.runs)]
    result = drift_by_length(runs, _seconds(arguments.at))
    deliver(arguments, result, _text)
    return 0


def _seconds(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise UsageError(f"--at {text}: give seconds, such as 5,10,20") from None


def _text(result: dict[str, Any]) -> str:
    """Table with a row a run and length."""
    rows = [("run", "first", "drift score", "95 % interval", "noise floor")]
    for one in result["runs"]:
        for entry in one["lengths"]:
            score = entry["score"]
            rows.append(
                (
                    printable(one["name"]),
                    f"{entry['seconds']:g} s",
                    f"{score['value']:.4f}",
                    between(score["ci95"], ".4f"),
                    f"{score['noise_floor']:.4f}",
                )
            )
    missing = sorted({name for one in result["runs"] for name in one["missing_metrics"]})
    partial = f"partial scores: without {', '.join(missing)}\n" if missing else ""
    return aligned(rows) + partial
