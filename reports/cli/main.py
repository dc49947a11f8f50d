"""`reproduce-paper`: runs the jobs that are missing, then writes tables, figures and the report."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from drift.command_line import FAILED, OK, CommandParser, run_command
from drift.errors import UsageError
from reports.cli import submit
from reports.tables import PARTS

if TYPE_CHECKING:
    from reports.cli.reproduce import Request, Result
    from reports.run.executors import Executor

EXECUTORS = ("local", "ray")

DESCRIPTION = """\
Runs the paper's experiments at the scale of a preset and writes Tables 1-3, the figures and a
self-contained report.html. What is done already is kept, so running it again is quick."""
PRESETS_HELP = """\
tiny, the default: the embedded model on a CPU, without downloads. smoke: the same in seconds, for
CI. quick: the distilled models on one GPU, an evening. field: models of
late 2026 at 60 s on one GPU, an evening. paper: everything, for a cluster"""
EPILOG = """\
exit codes: 0 all done; 1 a job failed or could not run, and is listed; 2 wrong use; 130
interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    """Returns the command line."""
    parser = CommandParser(prog="reproduce-paper", description=DESCRIPTION, epilog=EPILOG)
    parser.set_defaults(handler=_run, json=False, debug=False)
    parser.add_argument("--preset", default="tiny", metavar="NAME", help=PRESETS_HELP)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("reproduction"),
        metavar="DIR",
        help="folder of the reproduction (default: ./reproduction)",
    )
    parser.add_argument(
        "--only",
        metavar="LIST",
        help=f"comma list of {', '.join(PARTS)}: run and write these alone; the report then holds "
        "these alone",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print jobs, GPU-hours, disk and what is missing, and stop",
    )
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep jobs that are done; --no-resume runs all again",
    )
    parser.add_argument(
        "--spec",
        type=Path,
        metavar="FILE",
        help="read presets from this TOML file, not from the spec that ships",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="prompt files and trained checkpoints (default: HIAR_DATA, else ~/.cache/hiar/data)",
    )
    _add_executor(parser)
    _add_output(parser)
    _add_commands(parser)
    return parser


def _add_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    status = commands.add_parser("status", help="how far a reproduction is, at any time")
    status.set_defaults(handler=_status)
    status.add_argument("folder", type=Path, metavar="DIR", help="folder of a reproduction")
    verify = commands.add_parser(
        "verify", help="check every file and number of a reproduction, or compare two"
    )
    verify.set_defaults(handler=_verify)
    verify.add_argument("folder", type=Path, metavar="DIR", help="folder of a reproduction")
    verify.add_argument(
        "other", type=Path, metavar="OTHER", nargs="?", help="compare the numbers with this one's"
    )
    verify.add_argument(
        "--rtol", type=float, default=0.0, metavar="R",
        help="relative difference that still counts as equal (default 0; speed is never compared)",
    )  # fmt: skip
    for command in (status, verify):
        _add_output(command)
    submit.add_submit(commands.add_parser("submit", help="pack a run's records for others to see"))
    submit.add_submissions(commands.add_parser("submissions", help="a page of all submissions"))


def _add_executor(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where jobs run")
    group.add_argument(
        "--executor", choices=EXECUTORS, default="local",
        help="local (default), or ray: a Ray cluster whose nodes share --out and --data",
    )  # fmt: skip
    group.add_argument(
        "--jobs", type=int, metavar="N",
        help="jobs at once (default: number of GPUs, at least 1); CPUs of a local Ray",
    )  # fmt: skip
    group.add_argument(
        "--gpus", metavar="LIST",
        help="GPUs to use, such as 0,1 (default: all that nvidia-smi lists); with --dry-run also "
        "a count, such as 8x",
    )  # fmt: skip
    group.add_argument(
        "--ray-address", metavar="A",
        help="address of a cluster, or auto (default: RAY_ADDRESS, else one is started here)",
    )  # fmt: skip


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print JSON instead of tables",
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show an error's traceback, and a report for an issue",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        0 all done; 1 a job failed; 2 wrong use; 130 interrupted.
    """
    # Titles may hold arrows, which an ASCII terminal cannot show.
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    return run_command(build_parser(), argv)


def _run(args: argparse.Namespace) -> int:
    from reports.cli.reproduce import Request, reproduce  # noqa: PLC0415  (keeps --help light)

    only = tuple(args.only.split(",")) if args.only is not None else ()
    request = Request(
        preset=args.preset, out=args.out.resolve(), only=only, resume=args.resume,
        spec=args.spec, data=args.data,
    )  # fmt: skip
    if args.dry_run:
        return _dry_run(request, args)
    executor = _executor(args)
    result = reproduce(request, executor)
    if args.json:
        sys.stdout.write(json.dumps(result.record(), indent=2, ensure_ascii=False) + "\n")
    else:
        _print_result(result)
    sys.stdout.flush()
    _print_failures(result)
    return FAILED if result.failed else OK


def _executor(args: argparse.Namespace) -> Executor:
    if args.jobs is not None and args.jobs < 1:
        raise UsageError(f"--jobs {args.jobs}: it must be at least 1")
    if args.executor == "ray":
        from reports.run.executors.ray_cluster import RayExecutor  # noqa: PLC0415

        executor = RayExecutor(address=args.ray_address, jobs=args.jobs)
        executor.connect()
        return executor
    from reports.run.executors.local import LocalExecutor  # noqa: PLC0415

    if args.ray_address is not None:
        raise UsageError("--ray-address needs --executor ray")
    gpus = _gpus(args.gpus)
    return LocalExecutor(jobs=args.jobs or max(1, len(gpus)), gpus=gpus)


def _gpus(given: str | None) -> tuple[str, ...]:
    if given is None:
        from reports.plan.requirements import visible_gpus  # noqa: PLC0415

        return visible_gpus()
    names = tuple(name.strip() for name in given.split(",") if name.strip())
    if len(set(names)) < len(names):
        raise UsageError(f"--gpus {given}: a GPU is given twice")
    if not all(name.isdigit() for name in names):
        raise UsageError(f"--gpus {given}: give numbers, such as 0,1")
    return names


def _dry_run(request: Request, args: argparse.Namespace) -> int:
    from reports.cli.reproduce import plan  # noqa: PLC0415
    from reports.plan.summary import plan_record, plan_text  # noqa: PLC0415

    count = (args.gpus or "").removesuffix("x")
    by_count = args.gpus is not None and args.gpus.endswith("x") and count.isdigit()
    found = plan(request, gpus=int(count) if by_count else len(_gpus(args.gpus)))
    if args.json:
        sys.stdout.write(json.dumps(plan_record(found), indent=2) + "\n")
    else:
        sys.stdout.write(plan_text(found))
    return OK


def _status(args: argparse.Namespace) -> int:
    from reports.run.status import read_status, status_record, status_text  # noqa: PLC0415

    status = read_status(args.folder.resolve())
    if args.json:
        sys.stdout.write(json.dumps(status_record(status), indent=2) + "\n")
    else:
        sys.stdout.write(status_text(status))
    return FAILED if status.failed else OK


def _verify(args: argparse.Namespace) -> int:
    from reports.cli.verify import compare_runs, report_text, verify_run  # noqa: PLC0415

    if args.rtol < 0:
        raise UsageError(f"--rtol {args.rtol:g}: it must not be negative")
    folder = args.folder.resolve()
    if args.other is None:
        report = verify_run(folder)
    else:
        report = compare_runs(folder, args.other.resolve(), rtol=args.rtol)
    if args.json:
        sys.stdout.write(json.dumps(report.record(), indent=2) + "\n")
    else:
        sys.stdout.write(report_text(report))
    return FAILED if report.problems else OK


def _print_result(result: Result) -> None:
    from reports.render.as_markdown import to_terminal  # noqa: PLC0415

    sys.stdout.write(to_terminal(result.tables) + "\n")
    sys.stdout.write(f"report: {result.report}\n")


def _print_failures(result: Result) -> None:
    blocked: dict[str, int] = {}
    for outcome in result.failed:
        if outcome.status == "blocked":
            blocked[outcome.reason] = blocked.get(outcome.reason, 0) + 1
            continue
        sys.stderr.write(f"\n{outcome.job.name}: {outcome.status}, {outcome.reason}\n")
        sys.stderr.writelines(f"  | {line}\n" for line in outcome.tail.splitlines())
        if outcome.tail:
            sys.stderr.write(f"  log: {result.log(outcome)}\n")
    for reason, count in blocked.items():
        sys.stderr.write(f"\n{count} {'job' if count == 1 else 'jobs'} not run: {reason}\n")
    if result.failed:
        failed, total = len(result.failed), len(result.outcomes)
        sys.stderr.write(f"\n{failed} of {total} jobs have no result\n")
