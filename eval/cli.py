"""The ``hiar-vbench`` command."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from eval.dimensions import DIMENSIONS, GROUP_WEIGHTS
from eval.results import ResultError, make_record, read_results, write_record
from eval.score import VBenchScore, score_dimensions

SCORE_HELP = """\
Read upstream's *_eval_results.json in DIR (not in folders below it; *_full_info.json is passed
over) and compute Quality, Semantic and Total with upstream's constants. A missing dimension
leaves its group score and the total empty.

exit codes: 0 all 16 dimensions scored; 1 a dimension is missing; 2 wrong use or a broken result
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``hiar-vbench``.

    Args:
        argv: Arguments without the program's name; None reads the command line.

    Returns:
        The exit code.
    """
    args = _build_parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        return run(args)
    except ResultError as error:
        if args.debug:
            raise
        sys.stderr.write(f"hiar-vbench: error: {error}\n")
        return 2


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hiar-vbench", description="Score videos with VBench's protocol."
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    score = commands.add_parser(
        "score",
        help="Quality, Semantic and Total from upstream's result files",
        description=SCORE_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    score.add_argument("folder", metavar="DIR", type=Path, help="folder of upstream's results")
    score.add_argument("--out", metavar="FILE", type=Path, help="write the score record here")
    score.add_argument("--json", action="store_true", help="print the record, not a table")
    score.set_defaults(run=_run_score)

    dimensions = commands.add_parser("dimensions", help="the 16 dimensions and what each needs")
    dimensions.add_argument("--json", action="store_true", help="print JSON, not a table")
    dimensions.set_defaults(run=_run_dimensions)
    return parser


def _run_score(args: argparse.Namespace) -> int:
    results = read_results(args.folder)
    score = score_dimensions(results.raw)
    record = make_record(score, results)
    if args.out is not None:
        write_record(record, args.out)
    sys.stdout.write(json.dumps(record, indent=2) + "\n" if args.json else _format_score(score))
    for entry in results.ignored:
        sys.stderr.write(f"hiar-vbench: ignored, not a VBench dimension: {entry}\n")
    if score.missing:
        sys.stderr.write(
            f"hiar-vbench: {len(score.missing)} of {len(DIMENSIONS)} dimensions are missing: "
            f"{', '.join(score.missing)}\n"
        )
        return 1
    return 0


def _run_dimensions(args: argparse.Namespace) -> int:
    if args.json:
        record = {
            "group_weights": GROUP_WEIGHTS,
            "dimensions": [asdict(dimension) for dimension in DIMENSIONS],
        }
        sys.stdout.write(json.dumps(record, indent=2) + "\n")
        return 0
    sys.stdout.write(f"{'dimension':<24}{'group':<10}{'weight':>6}  {'bounds':<19}{'needs'}\n")
    for d in DIMENSIONS:
        bounds = f"{d.low:.4f} .. {d.high:.4f}"
        sys.stdout.write(f"{d.name:<24}{d.group:<10}{d.weight:>6}  {bounds:<19}{d.needs}\n")
    return 0


def _format_score(score: VBenchScore) -> str:
    lines = [f"{'dimension':<24}{'raw':>10}{'normalised':>12}"]
    for dimension in DIMENSIONS:
        value = score.dimensions.get(dimension.name)
        cells = f"{value.raw:>10.4f}{value.normalised:>12.4f}" if value else f"{'missing':>22}"
        lines.append(f"{dimension.name:<24}{cells}")
    lines.append("")
    for name, headline in (
        ("Quality", score.quality),
        ("Semantic", score.semantic),
        ("Total", score.total),
    ):
        cell = "-" if headline is None else f"{headline:.4f}"
        lines.append(f"{name:<24}{cell:>22}")
    return "\n".join(lines) + "\n"
