"""`hiar-vbench score`: Quality, Semantic and Total from result files."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from drift.errors import UsageError
from drift.files import atomic_write_text, dump_json
from eval.cli.options import FAILED, OK, positive
from eval.protocol.dimensions import DIMENSIONS
from eval.scores.results import RunFacts, make_record, read_results, read_run_facts
from eval.scores.score import VBenchScore, score_dimensions
from eval.scores.subset import QUALITY, subset_errors

_GROUPS = {dimension.name: dimension.group for dimension in DIMENSIONS}
DESCRIPTION = """\
Read upstream's *_eval_results.json in DIR (not in folders below it; *_full_info.json is passed
over) and compute Quality, Semantic and Total with upstream's constants. A missing dimension
leaves its group score and the total empty. A run of own prompts has the seven quality dimensions,
so that Quality is all it can have. Seconds are what each dimension took, where `hiar-vbench run`
measured it.

exit codes: 0 all dimensions of the run's protocol scored; 1 a dimension is missing; 2 wrong use or
a broken result
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-vbench score`."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of result files")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the score record here")
    parser.add_argument(
        "--subset",
        metavar="N,M",
        help="also print how far a random subset of N prompts would lie from these results, which "
        "must be over more prompts: 95 %% of such subsets lie within the error",
    )
    parser.add_argument("--json", action="store_true", help="print the record, not a table")


def run(arguments: argparse.Namespace) -> int:
    """Runs `hiar-vbench score`."""
    results = read_results(arguments.folder)
    score = score_dimensions(results.raw)
    run_facts = read_run_facts(arguments.folder, results)
    sizes = () if arguments.subset is None else _sizes(arguments.subset)
    errors = subset_errors(arguments.folder, results, run_facts, sizes) if sizes else {}
    record = make_record(score, results, run_facts, errors)
    if arguments.out is not None:
        atomic_write_text(arguments.out, dump_json(record))
    if arguments.json:
        sys.stdout.write(json.dumps(record, indent=2) + "\n")
    else:
        sys.stdout.write(_format_score(score, run_facts) + _format_errors(errors))
    for entry in results.ignored:
        sys.stderr.write(f"hiar-vbench: ignored, not a VBench dimension: {entry}\n")
    if missing := record["missing"]:
        sys.stderr.write(
            f"hiar-vbench: {len(missing)} of {len(run_facts.dimensions)} dimensions are missing: "
            f"{', '.join(missing)}\n"
        )
        return FAILED
    return OK


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({positive(size) for size in text.split(",")}))
    except (ValueError, argparse.ArgumentTypeError):
        raise UsageError(f"--subset {text}: give numbers of prompts, such as 8,16,32") from None


def _format_errors(errors: Mapping[str, Mapping[str, float]]) -> str:
    if not errors:
        return ""
    lines = [
        "\nerror of a subset: 95 % of random subsets of so many prompts lie within it",
        f"{'prompts':<24}" + "".join(f"{size:>10}" for size in errors),
    ]
    for name in next(iter(errors.values())):
        label = name.title() if name == QUALITY else name
        lines.append(f"{label:<24}" + "".join(f"{found[name]:>10.4f}" for found in errors.values()))
    return "\n".join(lines) + "\n"


def _format_score(score: VBenchScore, run_facts: RunFacts) -> str:
    seconds = {name: record["seconds"] for name, record in run_facts.records.items()}
    lines = [f"{'dimension':<24}{'raw':>10}{'normalised':>12}{'seconds':>10}"]
    for name in run_facts.dimensions:
        value = score.dimensions.get(name)
        cells = f"{value.raw:>10.4f}{value.normalised:>12.4f}" if value else f"{'missing':>22}"
        took = f"{seconds[name]:>10.1f}" if name in seconds else f"{'–':>10}"
        lines.append(f"{name:<24}{cells}{took}")
    lines.append(f"{'all':<46}{sum(seconds.values()):>10.1f}\n" if seconds else "")
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
