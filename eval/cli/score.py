"""`hiar-vbench score`: Quality, Semantic and Total from result files."""

import argparse
import json
import sys
from pathlib import Path

from drift.files import atomic_write_text, dump_json
from eval.cli.options import FAILED, OK
from eval.protocol.dimensions import DIMENSIONS
from eval.scores.results import RunFacts, make_record, read_results, read_run_facts
from eval.scores.score import VBenchScore, score_dimensions

_GROUPS = {dimension.name: dimension.group for dimension in DIMENSIONS}
DESCRIPTION = """\
Read upstream's *_eval_results.json in DIR (not in folders below it; *_full_info.json is passed
over) and compute Quality, Semantic and Total with upstream's constants. A missing dimension
leaves its group score and the total empty. A run of own prompts has the seven quality dimensions,
so that Quality is all it can have.

exit codes: 0 all dimensions of the run's protocol scored; 1 a dimension is missing; 2 wrong use or
a broken result
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
    run_facts = read_run_facts(arguments.folder, results)
    record = make_record(score, results, run_facts)
    if arguments.out is not None:
        atomic_write_text(arguments.out, dump_json(record))
    if arguments.json:
        sys.stdout.write(json.dumps(record, indent=2) + "\n")
    else:
        sys.stdout.write(_format_score(score, run_facts))
    for entry in results.ignored:
        sys.stderr.write(f"hiar-vbench: ignored, not a VBench dimension: {entry}\n")
    if missing := record["missing"]:
        sys.stderr.write(
            f"hiar-vbench: {len(missing)} of {len(run_facts.dimensions)} dimensions are missing: "
            f"{', '.join(missing)}\n"
        )
        return FAILED
    return OK


def _format_score(score: VBenchScore, run_facts: RunFacts) -> str:
    lines = [f"{'dimension':<24}{'raw':>10}{'normalised':>12}"]
    for name in run_facts.dimensions:
        value = score.dimensions.get(name)
        cells = f"{value.raw:>10.4f}{value.normalised:>12.4f}" if value else f"{'missing':>22}"
        lines.append(f"{name:<24}{cells}")
    lines.append("")
    quality_only = all(_GROUPS[name] == "quality" for name in run_facts.dimensions)
    for name, headline in (
        ("Quality", score.quality),
        ("Semantic", score.semantic),
        ("Total", score.total),
    ):
        cell = "-" if headline is None else f"{headline:.4f}"
        if name == "Quality" or not quality_only:
            lines.append(f"{name:<24}{cell:>22}")
    failed = next(iter(run_facts.records.values()), {}).get("failed") or []
    if failed:
        lines.append(f"failed videos, counted as 0: {', '.join(failed)}")
    return "\n".join(lines) + "\n"
