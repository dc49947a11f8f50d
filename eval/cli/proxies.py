"""`hiar-vbench proxies`: cheap stand-ins for videos of the tiny world."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from eval.cli.options import OK

DESCRIPTION = """\
Measure every video in DIR with stand-ins that need no weights: how much moves, how smoothly,
whether the prompt's shape and colour are seen, and VBench's own temporal_flickering. They compare
rows of one study of the tiny world; none but the last is a number of VBench's. Videos need the
sidecars of `hiar sample`.

exit codes: 0 all videos measured; 2 wrong use, or a video that is broken
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-vbench proxies`."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of videos")
    parser.add_argument("--recursive", action="store_true", help="look in sub-folders too")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the record here")
    parser.add_argument("--json", action="store_true", help="print the record, not a table")


def run(arguments: argparse.Namespace) -> int:
    """Runs `hiar-vbench proxies`."""
    from drift.files import atomic_write_text, dump_json  # noqa: PLC0415
    from eval.proxies.proxies import measure_folder  # noqa: PLC0415

    record = measure_folder(arguments.folder, _progress, recursive=arguments.recursive)
    if arguments.out is not None:
        atomic_write_text(arguments.out, dump_json(record))
    sys.stdout.write(json.dumps(record, indent=2) + "\n" if arguments.json else _format(record))
    return OK


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done}/{total} videos" + ("\n" if done == total else ""))
        sys.stderr.flush()


def _format(record: dict[str, Any]) -> str:
    lines = [f"{record['videos']} videos; tiny proxies, not VBench's numbers"]
    for name, found in record["measures"].items():
        interval = "" if found["ci95"] is None else " [{:.4f}, {:.4f}]".format(*found["ci95"])
        unit = f" {found['unit']}" if found["unit"] else ""
        lines.append(f"{name:<22}{found['mean']:.4f}{interval}{unit}")
    return "\n".join(lines) + "\n"
