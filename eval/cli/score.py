"""`hiar-vbench score`: Quality, Semantic and Total from result files."""

import argparse
import json
import sys
from pathlib import Path

from eval.cli.options import FAILED, OK
from eval.protocol.dimensions import DIMENSIONS
from eval.scores.results import make_record, read_results, write_record
from eval.scores.score import VBenchScore, score_dimensions

DESCRIPTION = """\
Read upstream's *_eval_results.json in DIR (not in folders below it; *_full_info.json is passed
over) and compute Quality, Semantic and Total with upstream's constants. A missing dimension
leaves its group score and the total empty.

exit codes: 0 all 16 dimensions scored; 1 a dimension is missing; 2 wrong use or a broken result
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-vbench score`."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of result files")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the score record here")
    parser.add_argument("--json", action="store_true", help="print the record, not a table")


def run(arguments: argparse.Namespace) -> int:
    """Runs `hiar-vbench score`."""
    results = read_results(arguments.folder)
    score = score_dimensions(results.raw)
    record = make_record(score, results)
    if arguments.out is not None:
        write_record(record, arguments.out)
    text = json.dumps(record, indent=2) + "\n" if arguments.json else _format_score(score)
    sys.stdout.write(text)
    for entry in results.ignored:
        sys.stderr.write(f"hiar-vbench: ignored, not a VBench dimension: {entry}\n")
    if score.missing:
        sys.stderr.write(
            f"hiar-vbench: {len(score.missing)} of {len(DIMENSIONS)} dimensions are missing: "
            f"{', '.join(score.missing)}\n"
        )
        return FAILED
    return OK


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
