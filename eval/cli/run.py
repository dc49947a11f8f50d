"""`hiar-vbench run`: measure dimensions, one process each."""

import argparse
import os
import sys
import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from drift.errors import UsageError
from eval.cli.layout import format_problems
from eval.cli.options import (
    FAILED,
    OK,
    add_environment,
    add_protocol,
    add_suite,
    add_videos,
    environment_of,
    look,
    own_list_of,
    protocol_of,
    suite_of,
)
from eval.protocol.protocols import Protocol, choose_dimensions, length_warning

if TYPE_CHECKING:
    from eval.protocol.layout import Layout
    from eval.upstream.environment import Inspection

IN_PROCESS = "temporal_flickering"
# Packages of the environment that a result depends on.
PACKAGES = ("vbench", "torch", "torchvision", "transformers", "timm", "opencv-python", "decord")
_LOCK = Lock()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-vbench run`."""
    parser.description = (
        "Check videos, modules and weights, then measure each dimension in a process of its own. "
        "What an earlier run into the same folder measured on the same videos is kept; a "
        "dimension that fails does not stop the others. Then: hiar-vbench score RUN. Exit codes: "
        "0 all measured; 1 some dimension failed; 2 wrong use, or something is missing."
    )
    add_videos(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="RUN", help="folder of results")
    add_environment(parser)
    add_suite(parser)
    add_protocol(parser)
    parser.add_argument(
        "--devices",
        default="auto",
        metavar="D,E",
        help="CUDA indices, or cpu; each measures one dimension at a time (default: every GPU, "
        "else cpu)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=12.0,
        metavar="HOURS",
        help="longest time that a dimension may take (default: 12)",
    )
    parser.add_argument(
        "--in-process",
        action="store_true",
        help=f"measure only {IN_PROCESS}, with the toolkit's own code: no environment, no weights",
    )
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="measure the videos that exist. With --custom a missing or unreadable video then "
        "counts as 0 in every dimension; without, scores are not comparable",
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs `hiar-vbench run`."""
    protocol = protocol_of(arguments)
    if arguments.in_process and arguments.dimensions is None:
        arguments.dimensions = IN_PROCESS
    dimensions = choose_dimensions(protocol, arguments.dimensions)
    if arguments.timeout <= 0:
        raise UsageError(f"--timeout {arguments.timeout:g}: give hours above 0")
    if arguments.in_process and (dimensions != (IN_PROCESS,) or protocol.long):
        raise UsageError(f"--in-process measures {IN_PROCESS} of whole videos only")
    layout = _checked_layout(arguments, protocol, dimensions)
    if arguments.in_process:
        records = [_run_in_process(arguments, protocol, layout)]
    else:
        records = _run_isolated(arguments, protocol, dimensions, layout)
    failed = [record for record in records if record["status"] != "done"]
    for record in failed:
        log = arguments.out / record["log"]
        _tell(f"hiar-vbench: {record['dimension']} failed: {record['reason']}; log: {log}")
    sys.stdout.write(f"{len(records) - len(failed)} of {len(records)} dimensions measured\n")
    if not failed:
        sys.stdout.write(f"next: hiar-vbench score {arguments.out}\n")
    return FAILED if failed else OK


def _checked_layout(
    arguments: argparse.Namespace, protocol: Protocol, dimensions: tuple[str, ...]
) -> "Layout":
    layout = look(arguments, protocol, dimensions)
    if warning := length_warning(protocol, tuple(video.seconds for video in layout.files)):
        _tell(f"hiar-vbench: note: {warning}")
    if layout.problems:
        sys.stderr.write(format_problems(layout))
    if _fatal(arguments, layout):
        more = "" if arguments.allow_missing else ", or score what is there with --allow-missing"
        if any(problem.kind == "stale" for problem in layout.problems):
            more = "; files of another run are stale: move them away, or list them"
        raise UsageError(
            f"{arguments.folder} has {len(layout.problems)} problems, above; put them right{more}"
        )
    empty = [name for name in dimensions if not layout.videos[name]]
    if empty:
        raise UsageError(f"{arguments.folder} has no video for {', '.join(empty)}")
    return layout


def _fatal(arguments: argparse.Namespace, layout: "Layout") -> bool:
    """Whether a problem forbids the run: failed videos of a list may be allowed, others not."""
    if not arguments.allow_missing:
        return bool(layout.problems)
    if arguments.custom:
        return any(p.kind not in {"missing", "unreadable"} for p in layout.problems)
    return any(p.kind == "unreadable" for p in layout.problems)


def _run_isolated(
    arguments: argparse.Namespace,
    protocol: Protocol,
    dimensions: tuple[str, ...],
    layout: "Layout",
) -> list[dict[str, Any]]:
    from eval.cli.diagnosis import find_lacks, steps_for  # noqa: PLC0415
    from eval.upstream.environment import inspect_environment, require_environment  # noqa: PLC0415
    from eval.upstream.run import run_dimensions  # noqa: PLC0415
    from eval.upstream.run_inputs import RunSettings, refuse_stale_results  # noqa: PLC0415
    from eval.upstream.weights import weight_roots  # noqa: PLC0415

    environment = require_environment(environment_of(arguments))
    _tell("checking the environment and the weights")
    inspection = inspect_environment(
        environment, steps_for(dimensions, protocol), arguments.out / "logs" / "inspect.log"
    )
    lacks = {
        name: found
        for name in dimensions
        if (found := find_lacks(name, protocol, inspection, weight_roots(), hashed=True))
    }
    for name, found in lacks.items():
        _tell(f"hiar-vbench: {name} lacks " + ", ".join(f"{x.what}: {x.remedy}" for x in found))
    if lacks:
        rest = ",".join(name for name in dimensions if name not in lacks)
        remedy = f", or leave them out: --dimensions {rest}" if rest else ""
        raise UsageError(f"{len(lacks)} of {len(dimensions)} dimensions cannot run here{remedy}")
    settings = RunSettings(
        protocol=protocol,
        layout=layout,
        environment=environment,
        out=arguments.out,
        # VBench-Long reads the suite for own videos too.
        suite=suite_of(arguments) if protocol.suite or protocol.long else None,
        samples=arguments.samples,
        own_list=own_list_of(arguments),
        devices=choose_devices(arguments.devices, inspection),
        timeout_s=arguments.timeout * 3600,
        versions={name: inspection.packages.get(name, "") for name in PACKAGES},
    )
    refuse_stale_results(settings, dimensions)
    return list(run_dimensions(settings, dimensions, _tell).values())


def choose_devices(text: str, inspection: "Inspection") -> tuple[str, ...]:
    """Parses the devices to run on, which are named as in CUDA_VISIBLE_DEVICES.

    Raises:
        UsageError: A device does not exist, or the list is empty.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    numbered = [str(index) for index in range(inspection.cuda_devices)]
    present = visible if len(visible) == len(numbered) and visible != [""] else numbered
    if text == "auto":
        return tuple(present) or ("cpu",)
    named = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in named if name != "cpu" and name not in present]
    if unknown or not named:
        here = ", ".join(present) or "none"
        raise UsageError(f"--devices {text}: give cpu, or of the GPUs here ({here})")
    return named


def _run_in_process(
    arguments: argparse.Namespace, protocol: Protocol, layout: "Layout"
) -> dict[str, Any]:
    from importlib.metadata import version  # noqa: PLC0415

    from eval.proxies.temporal_flickering import measure_videos  # noqa: PLC0415
    from eval.upstream.run import save_result  # noqa: PLC0415
    from eval.upstream.run_inputs import (  # noqa: PLC0415
        RunSettings,
        input_hash,
        refuse_stale_results,
    )

    settings = RunSettings(
        protocol=protocol,
        layout=layout,
        environment=Path(),
        out=arguments.out,
        suite=suite_of(arguments) if protocol.suite else None,
        samples=arguments.samples,
        own_list=own_list_of(arguments),
        timeout_s=0.0,
        versions={"opencv-python": version("opencv-python")},
    )
    refuse_stale_results(settings, (IN_PROCESS,))
    start = time.monotonic()
    videos = layout.videos[IN_PROCESS]
    inputs = input_hash(settings, IN_PROCESS)
    entry = measure_videos([video.path for video in videos])
    for result, video in zip(entry[1], videos, strict=True):
        result["video_path"] = video.name
    seconds = time.monotonic() - start
    record = save_result(settings, IN_PROCESS, entry, inputs, seconds, "cpu", by="hiar-toolkit")
    _tell(f"{IN_PROCESS}: done: {entry[0]:.6f} ({seconds:.0f} s)")
    return record


def _tell(line: str) -> None:
    with _LOCK:  # several dimensions report at once
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
