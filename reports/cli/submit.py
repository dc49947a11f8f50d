"""`reproduce-paper submit` and `submissions`: share a run's records, and see everyone's."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from drift.command_line import OK
from drift.errors import UsageError

PAGE_NAME = "submissions.html"


def add_submit(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `reproduce-paper submit`."""
    parser.description = (
        "Check a reproduction as `verify` does, and pack its records, without videos and pictures, "
        "into a folder that can be sent as a pull request."
    )
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of a reproduction")
    parser.add_argument("--name", required=True, help="name of the submission, such as h100-quick")
    parser.add_argument("--lab", required=True, help="who measured")
    parser.add_argument(
        "--machine", required=True, help='on what, in words, such as "one H100 SXM, 80 GB"'
    )
    parser.add_argument("--note", default="", help="what a reader must know besides")
    _add_entries(parser)
    parser.set_defaults(handler=run_submit)


def add_submissions(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `reproduce-paper submissions`."""
    parser.description = "Check all submissions and write one page of them."
    parser.add_argument(
        "--page",
        type=Path,
        default=Path(PAGE_NAME),
        metavar="FILE",
        help=f"page to write (default: ./{PAGE_NAME})",
    )
    _add_entries(parser)
    parser.set_defaults(handler=run_submissions)


def _add_entries(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--entries",
        type=Path,
        metavar="DIR",
        help="folder of the submissions (default: reports/submissions/entries of this toolkit)",
    )


def run_submit(args: argparse.Namespace) -> int:
    """Runs `reproduce-paper submit`."""
    from reports.cli.verify import read_manifest, verify_run  # noqa: PLC0415  (keeps --help light)
    from reports.submissions.pack import pack  # noqa: PLC0415
    from reports.submissions.submission import ENTRIES, read_submission  # noqa: PLC0415

    run = args.folder.resolve()
    problems = verify_run(run).problems
    if problems:
        raise UsageError(
            f"{args.folder}: {problems[0]}"
            + (f" and {len(problems) - 1} more problems" if problems[1:] else "")
            + "; `reproduce-paper verify` lists them, running the preset again mends them"
        )
    target = pack(
        run, read_manifest(run), args.entries or ENTRIES,
        name=args.name, lab=args.lab, machine=args.machine, note=args.note,
    )  # fmt: skip
    submission = read_submission(target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    sys.stdout.write(
        f"{target}: {len(submission.files)} records, {size / 1024:.0f} KiB, no videos\n"
        "next: reproduce-paper submissions, and send the folder as a pull request\n"
    )
    return OK


def run_submissions(args: argparse.Namespace) -> int:
    """Runs `reproduce-paper submissions`."""
    from drift.files import atomic_write_text  # noqa: PLC0415
    from reports.submissions.page import render_page  # noqa: PLC0415
    from reports.submissions.submission import ENTRIES, read_submissions  # noqa: PLC0415

    found = read_submissions(args.entries or ENTRIES)
    atomic_write_text(args.page, render_page(found))
    sys.stdout.write(f"{len(found)} submissions, all well: {args.page}\n")
    return OK
