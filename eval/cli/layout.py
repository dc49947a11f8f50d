"""`hiar-vbench layout`: check a folder of videos before it is measured."""

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from eval.cli.options import (
    FAILED,
    OK,
    add_environment,
    add_protocol,
    add_suite,
    add_videos,
    look,
    protocol_of,
)
from eval.protocol.protocols import choose_dimensions, length_warning

if TYPE_CHECKING:
    from eval.protocol.layout import Layout

SCHEMA = "vbench-layout/1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-vbench layout`."""
    parser.description = (
        "Check the names, number, copies and headers of videos, and name every missing file. "
        "Videos lie in the folder itself or in sub-folders named after the dimensions. Exit codes: "
        "0 complete; 1 something is wrong; 2 wrong use."
    )
    add_videos(parser)
    add_environment(parser)
    add_suite(parser)
    add_protocol(parser)
    parser.add_argument("--names-only", action="store_true", help="do not open the files")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs `hiar-vbench layout`."""
    protocol = protocol_of(arguments)
    dimensions = choose_dimensions(protocol, arguments.dimensions)
    layout = look(arguments, protocol, dimensions, headers=not arguments.names_only)
    warning = length_warning(protocol, tuple(video.seconds for video in layout.files))
    if arguments.json:
        sys.stdout.write(json.dumps(_record(layout, warning), indent=2) + "\n")
    else:
        sys.stdout.write(format_problems(layout) + _format(layout))
    if warning:
        sys.stderr.write(f"hiar-vbench: note: {warning}\n")
    return FAILED if layout.problems else OK


def format_problems(layout: "Layout") -> str:
    """One line for each problem, then the number of problems of each kind."""
    lines = [
        f"{problem.kind}: {problem.name}{f' ({problem.detail})' if problem.detail else ''}"
        for problem in layout.problems
    ]
    counts = Counter(problem.kind for problem in layout.problems)
    if counts:
        lines.append("problems: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()))
    return "".join(f"{line}\n" for line in lines)


def _format(layout: "Layout") -> str:
    files = layout.files
    expected = f" of {layout.expected}" if layout.expected else ""
    lines = [f"{len(files)}{expected} videos"]
    known = [video for video in files if video.seconds > 0]
    if known:
        sizes = Counter(f"{video.width}x{video.height}" for video in known)
        seconds = [video.seconds for video in known]
        frames = [video.frames for video in known]
        lines.append(f"sizes: {', '.join(f'{n} of {size}' for size, n in sizes.items())}")
        lines.append(
            f"length: {min(seconds):.2f} to {max(seconds):.2f} s, {min(frames)} to {max(frames)} "
            "frames"
        )
    if layout.passed_over:
        shown = ", ".join(layout.passed_over[:5])
        more = len(layout.passed_over) - 5
        lines.append(f"passed over, not measured: {shown}{f' and {more} more' if more > 0 else ''}")
    return "".join(f"{line}\n" for line in lines)


def _record(layout: "Layout", warning: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "videos": {dimension: len(found) for dimension, found in layout.videos.items()},
        "files": len(layout.files),
        "expected": layout.expected,
        "problems": [asdict(problem) for problem in layout.problems],
        "passed_over": list(layout.passed_over),
        "note": warning,
    }
