"""`drift controls`: writes videos with planted faults from real ones."""

import argparse
import sys
from pathlib import Path

from drift.cli.layout import names_of
from drift.errors import UsageError
from drift.files import dump_json

SCHEMA = "drift-controls/1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = (
        "Write control videos: each video untreated, frozen, looped, reversed, with its fifths "
        "shuffled and as a slow pan over its first frame; and ten degradations at three doses, "
        "each growing from nothing to its dose over the video. A sidecar beside each says source, "
        "control and dose. Videos that are there already are kept."
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="folder of real videos, or a video"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR2", help="folder of the controls"
    )
    parser.add_argument(
        "--only", metavar="A,B", help="only these controls, such as blur,noise (default: all)"
    )
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="the first S seconds only (default: all)"
    )
    parser.add_argument("--recursive", "-r", action="store_true", help="look in sub-folders too")
    parser.add_argument("--workers", type=int, help="processes (default: one a CPU)")


def run(arguments: argparse.Namespace) -> int:
    """Writes the controls and says how many there are."""
    from drift.controls.control import all_controls  # noqa: PLC0415  (imports OpenCV)
    from drift.controls.folder import write_controls  # noqa: PLC0415
    from drift.run.pool import num_cpus  # noqa: PLC0415
    from drift.run.progress import video_counter  # noqa: PLC0415

    controls = all_controls()
    if arguments.only is not None:
        names = names_of(arguments.only)
        known = list(dict.fromkeys(control.name for control in controls))
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise UsageError(f"--only {arguments.only}: choose from {', '.join(known)}")
        controls = tuple(control for control in controls if control.name in names)
    written = write_controls(
        arguments.folders,
        arguments.out,
        controls,
        seconds=arguments.seconds,
        recursive=arguments.recursive,
        workers=arguments.workers or num_cpus(),
        on_video=video_counter(),
    )
    new, kept = (sum(getattr(one, name) for one in written) for name in ("num_new", "num_kept"))
    if arguments.json:
        record = {"schema": SCHEMA, "sources": len(written), "new": new, "kept": kept}
        sys.stdout.write(dump_json(record))
    else:
        sys.stdout.write(
            f"{arguments.out}: {len(controls)} controls of {len(written)} videos, {new} new, "
            f"{kept} kept\n"
        )
    return 0
