"""The `drift` command. Heavy imports wait until a sub-command runs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import drift
from drift.cli import calibrate, compare, doctor, lengths, networks, seams, weights
from drift.cli.instrument import controls, ls, power, validate
from drift.cli.layout import add_blocks, aligned, names_of
from drift.command_line import FAILED, OK, CommandParser, run_command
from drift.files import dump_json
from drift.metrics.preset import load_preset
from drift.metrics.registry import GROUPS, METRICS
from drift.run.ranks import ranks_of_torchrun, speaks_for_all
from drift.run.storage import location, on_this_machine
from drift.score.config import CUT_POLICIES, DEFAULT_METRICS, ScoreConfig, checked_blocks
from drift.video.discover import printable


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = CommandParser(prog="drift", description="Measure how much videos drift over time.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_score(commands.add_parser("score", help="score videos: files, or all of a folder"))
    report = commands.add_parser(
        "report", help="rebuild tables and report of a run from frames.parquet, without decoding"
    )
    report.add_argument("run", type=Path, metavar="RUN", help="folder that `score --out` wrote")
    _add_rules(report, "keep those of the run")
    report.set_defaults(handler=_report)
    _add_module(commands.add_parser("compare", help="compare runs video by video"), compare)
    _add_module(commands.add_parser("lengths", help="drift against the videos' length"), lengths)
    _add_module(commands.add_parser("seams", help="jumps at the borders of blocks"), seams)
    _add_module(commands.add_parser("calibrate", help="fit a preset of one's own"), calibrate)
    _add_module(commands.add_parser("controls", help="write videos with planted faults"), controls)
    _add_module(commands.add_parser("validate", help="what each metric sees and misses"), validate)
    _add_module(commands.add_parser("power", help="how many prompts a comparison needs"), power)
    _add_module(commands.add_parser("ls", help="list the metrics"), ls)
    _add_module(commands.add_parser("weights", help="list, fetch or verify weights"), weights)
    _add_module(commands.add_parser("doctor", help="what is missing here, and why"), doctor)
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="print JSON, no table")
        command.add_argument(
            "--debug",
            action="store_true",
            help="show an error's traceback, and a report for an issue",
        )
    return parser


def _add_module(parser: argparse.ArgumentParser, module: Any) -> None:
    """Adds a sub-command from its file in `drift.cli`."""
    module.add_arguments(parser)
    parser.set_defaults(handler=module.run)


def _add_rules(parser: argparse.ArgumentParser, default: str) -> None:
    """Adds the options that turn measured values into a score, also without decoding again."""
    parser.add_argument(
        "--preset", metavar="FILE", help=f"v1, or a file of drift calibrate (default: {default})"
    )
    parser.add_argument(
        "--cut-policy",
        choices=CUT_POLICIES,
        help=f"scene cuts: keep them, or drop their pairs from pair metrics (default: {default})",
    )
    add_blocks(parser)


def _add_videos(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which videos are scored and what is known about them."""
    parser.add_argument(
        "videos",
        nargs="+",
        type=location,
        metavar="VIDEOS",
        help="a folder of videos, a video, a pattern such as 'videos/*.mp4', or s3://...",
    )
    parser.add_argument("--recursive", "-r", action="store_true", help="look in sub-folders too")
    parser.add_argument("--glob", metavar="PATTERN", help="only videos whose name matches")
    parser.add_argument(
        "--prompts",
        type=Path,
        metavar="FILE",
        help="CSV with the columns file and prompt (default: prompts.csv beside the videos, and "
        "the sidecar <video>.json of each)",
    )
    parser.add_argument(
        "--allow-hdr",
        action="store_true",
        help="score HDR videos (PQ, HLG) as they are stored (default: they fail)",
    )


def _add_score(parser: argparse.ArgumentParser) -> None:
    listed = [f"{spec.name} ({spec.unit})" for spec in METRICS.values()]
    parser.description = (
        "Score the drift of every video and write frames.parquet, videos.csv, summary.json and "
        "report.html. A video measured before in the same RUN is not decoded again. A folder of "
        "numbered pictures (png, jpg, webp) is one video; a folder of such folders needs "
        "--recursive. Exit codes: 0 all scored, 1 some video failed, 2 wrong use."
    )
    _add_videos(parser)
    parser.add_argument(
        "--out", required=True, type=location, metavar="RUN", help="folder of the run, or s3://..."
    )
    parser.add_argument(
        "--metrics",
        default=",".join(DEFAULT_METRICS),
        metavar="A,B",
        help=f"metrics or groups ({', '.join(GROUPS)}), default {','.join(DEFAULT_METRICS)}. "
        f"Built in: {'; '.join(listed)}",
    )
    parser.add_argument("--segments", type=int, default=5, help="time slices a video (default 5)")
    parser.add_argument(
        "--fps",
        type=float,
        metavar="F",
        help="sample F frames a second, by time (default: all); pictures whose sidecar tells no "
        "fps are taken to have this rate (default 16)",
    )
    _add_rules(parser, "v1, keep")
    parser.add_argument(
        "--allow-missing", action="store_true", help="exit 0 although some videos failed"
    )
    parser.add_argument("--workers", type=int, help="processes (default: one a CPU)")
    parser.add_argument(
        "--executor",
        choices=("local", "ray"),
        default="local",
        help="local (default), or ray: a task a video on a Ray cluster that shares the folders",
    )
    parser.add_argument(
        "--ray-address",
        metavar="A",
        help="address of a cluster, or auto (default: RAY_ADDRESS, else one is started here)",
    )
    networks.add_arguments(parser)
    parser.set_defaults(handler=_score)


def _score(arguments: argparse.Namespace) -> int:
    with on_this_machine(arguments.videos, arguments.out) as (videos, out):
        return _score_here(arguments, videos, out)


def _score_here(arguments: argparse.Namespace, videos: list[Path], out: Path) -> int:
    result = drift.score_folder(
        videos,
        out=out,
        config=ScoreConfig(
            metrics=names_of(arguments.metrics),
            segments=arguments.segments,
            fps=arguments.fps,
            every=arguments.every,
            variants=networks.variants(arguments),
            cut_policy=arguments.cut_policy or "keep",
            blocks=checked_blocks(arguments.first, arguments.block),
        ),
        preset=load_preset(arguments.preset or "v1"),
        settings=networks.settings(arguments),
        recursive=arguments.recursive,
        glob=arguments.glob,
        prompts=arguments.prompts,
        allow_hdr=arguments.allow_hdr,
        workers=arguments.workers,
        executor=arguments.executor,
        ray_address=arguments.ray_address,
    )
    if not ranks_of_torchrun().is_first:
        return OK  # under torchrun only the first process prints
    _print_result(result, as_json=arguments.json)
    for failed in result.failed:
        name, reason = printable(failed["path"]), failed["reason"]
        sys.stderr.write(f"drift: {name}: {failed['status']}: {reason}\n")
    if result.drift_score is None:
        sys.stderr.write("drift: no video could be scored\n")
        return FAILED
    return FAILED if result.failed and not arguments.allow_missing else OK


def _report(arguments: argparse.Namespace) -> int:
    preset = None if arguments.preset is None else load_preset(arguments.preset)
    result = drift.rebuild(
        arguments.run,
        preset=preset,
        cut_policy=arguments.cut_policy,
        blocks=checked_blocks(arguments.first, arguments.block),
    )
    _print_result(result, as_json=arguments.json)
    return OK


def _print_result(result: "drift.RunResult", *, as_json: bool) -> None:
    """Prints warnings to stderr, and a small table or the whole summary to stdout."""
    summary = result.summary
    if "invalid" in summary:
        (sys.stderr if as_json else sys.stdout).write(f"{summary['invalid']}\n")
    for line in summary["warnings"]:
        sys.stderr.write(f"drift: warning: {line}\n")
    if as_json:
        sys.stdout.write(dump_json(summary))
        return
    rows = [("metric", "drift", "slope", "95 % interval", "mean |slope|", "direction")]
    for name, entry in summary["metrics"].items():
        low, high = entry["ci95"]
        numbers = (f"{entry['drift']:.4f}", f"{entry['mean_slope']:+.5f}")
        interval = (f"{low:+.5f} to {high:+.5f}", f"{entry['mean_abs_slope']:.5f}")
        rows.append((name, *numbers, *interval, entry["label"]))
    sys.stdout.write(aligned(rows))
    score = summary["drift_score"]
    if score["value"] is not None:
        low, high = score["ci95"]
        partial = f", partial: without {', '.join(score['missing_metrics'])}"
        sys.stdout.write(
            f"drift score {score['value']:.4f} ({low:.4f} to {high:.4f}), {summary['scored']} of "
            f"{summary['videos']} videos{partial if score['partial'] else ''}\n"
            f"noise floor {score['noise_floor']:.4f}: the same segments in random order\n"
        )
    sys.stdout.write(f"report: {result.out / 'report.html'}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Arguments without the program's name; None takes them from the process.

    Returns:
        The exit code.
    """
    return run_command(build_parser(), argv, speaks=speaks_for_all)
