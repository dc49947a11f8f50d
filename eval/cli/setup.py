"""`hiar-vbench setup`: make, complete or repair the isolated environment."""

import argparse
import json
import sys
import time

from eval.cli.options import OK, add_environment, environment_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-vbench setup`."""
    parser.description = (
        "Install upstream's vbench in an environment of its own, which the toolkit talks to "
        "through processes. The same command completes an install that was stopped and repairs "
        "one that lacks files. Exit codes: 0 every module imports; 1 an install failed; 2 wrong "
        "use."
    )
    add_environment(parser)
    parser.add_argument("--python", metavar="PATH", help="Python 3.11 to make it with")
    parser.add_argument("--long", action="store_true", help="also what VBench-Long needs")
    parser.add_argument(
        "--detectron2",
        nargs="?",
        const="",
        metavar="SOURCE",
        help="also build detectron2, for object_class, multiple_objects, color and "
        "spatial_relationship; from a folder, an archive, or the repository it was tried with",
    )
    parser.add_argument(
        "--unpinned", action="store_true", help="let pip choose versions that were not tried"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and stop")
    parser.add_argument("--json", action="store_true", help="print what is installed as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs `hiar-vbench setup`."""
    from eval.upstream.environment import check_folder, find_python, free_bytes, set_up  # noqa: PLC0415
    from eval.upstream.recipe import CORE, DETECTRON2, LONG, detectron2_step  # noqa: PLC0415

    steps = [CORE]
    if arguments.detectron2 is not None:
        steps.append(detectron2_step(arguments.detectron2 or DETECTRON2))
    if arguments.long:
        steps.append(LONG)
    environment = environment_of(arguments)
    state = check_folder(environment, steps)
    python = find_python(arguments.python)
    _tell(f"environment: {environment} ({state})")
    for step in steps:
        _tell(
            f"  {step.name}: {' '.join(step.packages)}; {step.gigabytes:.1f} GB, about "
            f"{step.minutes:g} min; gives {step.gives}"
        )
    if arguments.detectron2 is None:
        _tell("  without detectron2 (--detectron2): no object_class, multiple_objects, color,")
        _tell("  spatial_relationship, so no Semantic and no Total")
    _tell(f"  disk: {free_bytes(environment) / 1e9:.1f} GB free; weights come on top (doctor)")
    if arguments.dry_run:
        return OK
    start = time.monotonic()
    found = set_up(environment, steps, python=python, pinned=not arguments.unpinned, tell=_tell)
    _tell(
        f"ready in {(time.monotonic() - start) / 60:.1f} min: Python {found.python}, "
        f"{len(found.packages)} packages, vbench {found.packages['vbench']}, torch "
        f"{found.packages['torch']}, {found.cuda_devices} GPUs"
    )
    if arguments.json:
        sys.stdout.write(json.dumps(dict(found.packages), indent=2, sort_keys=True) + "\n")
    return OK


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
