"""`drift power`: how many prompts a comparison needs, from the variance of runs that are there."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drift.cli.layout import add_pair_by, aligned, deliver
from drift.cli.runs import read_runs
from drift.errors import UsageError
from drift.video.discover import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = (
        "Say how many prompts find a difference in 80 of 100 experiments, by a two-sided test at "
        "5 %%. Unpaired: each run has prompts of its own; their spread is that of RUN (and RUN_B). "
        "Paired: both have the same prompts; the spread of the differences needs RUN_B. Intervals "
        "are bootstraps over prompts. Nothing is decoded."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("run_b", nargs="?", type=Path, metavar="RUN_B", help="run of another model")
    parser.add_argument(
        "--detect", default="20%", metavar="D",
        help="difference to find: a share of RUN's mean, such as 20%% (default), or a drift, such "
        "as 0.05",
    )  # fmt: skip
    add_pair_by(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw power against prompts")


def run(arguments: argparse.Namespace) -> int:
    """Computes, prints, writes and draws."""
    from drift.compare.power import power_of_runs  # noqa: PLC0415
    from drift.compare.power_figure import draw_power  # noqa: PLC0415

    detect, relative = detected(arguments.detect)
    paths = [path for path in (arguments.run, arguments.run_b) if path is not None]
    record = power_of_runs(
        read_runs(paths), detect=detect, relative=relative, pair_by=arguments.pair_by
    )
    if arguments.figure is not None:
        draw_power(arguments.figure, record)
    deliver(arguments, record, _text)
    return 0


def detected(text: str) -> tuple[float, bool]:
    """The value of `--detect`, and whether it is a share.

    Raises:
        UsageError: it is no number.
    """
    relative = text.endswith("%")
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        raise UsageError(f"--detect {text}: give a share such as 20%, or a drift") from None
    return (value / 100 if relative else value), relative


def _text(record: Mapping[str, Any]) -> str:
    """A row for the score and for each metric."""
    head = ("", "mean", "difference to find", "deviation", "unpaired, each run", "paired")
    entries = {"score": record["score"], **record["metrics"]}
    rows = [
        (
            name,
            f"{entry['mean']:.4f}",
            f"{entry['difference']:.4f}",
            f"{entry['deviation']:.4f}",
            _prompts(entry["unpaired"]),
            _prompts(entry["paired"]),
        )
        for name, entry in entries.items()
    ]
    runs = ", ".join(f"{printable(run['name'])} ({run['prompts']})" for run in record["runs"])
    return aligned([head, *rows]) + f"prompts for 80 % power at 5 %; from {runs}\n"


def _prompts(needed: Mapping[str, Any] | None) -> str:
    if needed is None:
        return "-"
    low, high = needed["ci95"]
    return f"{needed['prompts']} ({low} to {high})"
