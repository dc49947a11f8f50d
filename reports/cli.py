"""`reproduce-paper`: runs the jobs that are missing, then writes tables, figures and the report."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from drift.errors import UsageError
from reports.parts import PARTS

if TYPE_CHECKING:
    from reports.reproduce import Request, Result

PRESETS = ("tiny",)
EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

DESCRIPTION = """\
Runs the paper's experiments at the scale of a preset and writes Tables 1-3, the figures and a
self-contained report.html. What is done already is kept, so running it again is quick."""


def build_parser() -> argparse.ArgumentParser:
    """Returns the command line."""
    parser = argparse.ArgumentParser(prog="reproduce-paper", description=DESCRIPTION)
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default="tiny",
        help="tiny, the default: the embedded model on a CPU, without downloads",
    )
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
    parser.add_argument("--dry-run", action="store_true", help="list the jobs and stop")
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep jobs that are done; --no-resume runs all again",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--debug", action="store_true", help="show a traceback on errors")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        0 all done; 1 a job failed; 2 wrong use; 130 interrupted.
    """
    args = build_parser().parse_args(argv)
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, _interrupt)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # arrows on an ASCII terminal
    try:
        return _run(args)
    except UsageError as error:
        if args.debug:
            raise
        sys.stderr.write(f"reproduce-paper: {error}\n")
        return EXIT_USAGE
    except KeyboardInterrupt:
        sys.stderr.write("\nreproduce-paper: interrupted; the same command goes on from here\n")
        return EXIT_INTERRUPTED


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ends on SIGTERM or a closed terminal as on Ctrl-C: the running job is stopped first."""
    raise KeyboardInterrupt


def _run(args: argparse.Namespace) -> int:
    from reports.reproduce import Request, plan, reproduce  # noqa: PLC0415  (keeps --help light)

    only = tuple(args.only.split(",")) if args.only is not None else ()
    request = Request(preset=args.preset, out=args.out.resolve(), only=only, resume=args.resume)
    if args.dry_run:
        _print_plan(request, plan(request), as_json=args.json)
        return 0
    result = reproduce(request)
    if args.json:
        sys.stdout.write(json.dumps(result.record(), indent=2, ensure_ascii=False) + "\n")
    else:
        _print_result(result)
    sys.stdout.flush()
    _print_failures(result)
    return EXIT_FAILED if result.failed else 0


def _print_plan(
    request: Request, states: dict[str, tuple[str, list[str]]], *, as_json: bool
) -> None:
    if as_json:
        data = {name: {"state": state, "argv": argv} for name, (state, argv) in states.items()}
        sys.stdout.write(json.dumps({"schema": "reports-plan/1", "jobs": data}, indent=2) + "\n")
        return
    for name, (state, argv) in states.items():
        sys.stdout.write(f"{state:<5} {name}\n      {shlex.join(argv)}\n")


def _print_result(result: Result) -> None:
    from reports.render.as_markdown import to_terminal  # noqa: PLC0415

    sys.stdout.write(to_terminal(result.tables) + "\n")
    sys.stdout.write(f"report: {result.report}\n")


def _print_failures(result: Result) -> None:
    for outcome in result.failed:
        sys.stderr.write(f"\n{outcome.job.name}: {outcome.status}, {outcome.reason}\n")
        sys.stderr.writelines(f"  | {line}\n" for line in outcome.tail.splitlines())
        if outcome.tail:
            sys.stderr.write(f"  log: {result.log(outcome)}\n")
    if result.failed:
        failed, total = len(result.failed), len(result.outcomes)
        sys.stderr.write(f"\n{failed} of {total} jobs have no result\n")
