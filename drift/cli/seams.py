"""`drift seams`: jumps between frames at the borders of the blocks that were denoised together."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drift.cli.layout import add_blocks, aligned, between, deliver, names_of
from drift.cli.networks import add_weights_dir
from drift.cli.runs import run_or_folder
from drift.command_line import FAILED, OK
from drift.errors import UsageError
from drift.metrics.networks.settings import MetricSettings
from drift.score.config import ScoreConfig, checked_blocks
from drift.video.discover import printable

if TYPE_CHECKING:
    from drift.record.tables import RunData

METRICS = ("difference", "luminance", "lpips", "dino")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = (
        "Measure whether frames jump where one block of a video ends and the next begins. The seam "
        "ratio is the change at borders over the change beside them; it means something only where "
        "it exceeds the largest ratio at any other phase of the block."
    )
    parser.add_argument(
        "place", type=Path, metavar="DIR",
        help="folder of videos, or a run of drift score, in which case nothing is decoded",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the record as JSON")
    add_blocks(parser)
    parser.add_argument(
        "--metrics", default="difference,luminance", metavar="A,B",
        help=f"of {', '.join(METRICS)} (default: difference,luminance; the others need weights)",
    )  # fmt: skip
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the profile of a block")
    parser.add_argument(
        "--beside", type=Path, nargs="+", default=[], metavar="FILE",
        help="records of earlier calls, drawn in the same figure",
    )  # fmt: skip
    parser.add_argument("--recursive", "-r", action="store_true", help="look in sub-folders too")
    parser.add_argument(
        "--allow-missing", action="store_true", help="exit 0 although some videos failed"
    )
    parser.add_argument("--workers", type=int, help="processes that decode (default: one a CPU)")
    parser.add_argument("--device", default="cpu", help="for lpips and dino (default cpu)")
    add_weights_dir(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints, writes and draws."""
    from drift.seams.figure import draw_profiles  # noqa: PLC0415
    from drift.seams.record import seams_record  # noqa: PLC0415

    beside = {path.stem: read_record(path) for path in arguments.beside}
    metrics = _chosen(arguments.metrics)
    blocks = checked_blocks(arguments.first, arguments.block)
    record = seams_record(_measured(arguments, metrics), metrics=metrics, blocks=blocks)
    if arguments.figure is not None:
        name = arguments.place.resolve().name
        draw_profiles(arguments.figure, {name: record, **beside})
    deliver(arguments, record, _text)
    for failed in record["failed"]:
        line = f"{printable(failed['path'])}: {failed['status']}: {failed['reason']}"
        sys.stderr.write(f"drift: {line}\n")
    return FAILED if record["failed"] and not arguments.allow_missing else OK


def _measured(arguments: argparse.Namespace, metrics: Sequence[str]) -> "RunData":
    """The run, or a folder's videos measured as one."""
    from drift.seams.pairs import PAIR_METRICS  # noqa: PLC0415

    return run_or_folder(
        arguments.place,
        ScoreConfig(metrics=tuple(PAIR_METRICS[name].metric for name in metrics), segments=2),
        MetricSettings(device=arguments.device, weights_dir=arguments.weights_dir),
        recursive=arguments.recursive,
        workers=arguments.workers,
    )


def read_record(path: Path) -> dict[str, Any]:
    """A record that this command wrote.

    Raises:
        UsageError: If it is none.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is not JSON ({error}); give a file of drift seams") from None
    if not isinstance(record, dict) or record.get("schema") != "seams/1":
        raise UsageError(f"{path} is no record of drift seams; give a file that it wrote")
    return record


def _chosen(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(names_of(text)))
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise UsageError(f"--metrics {text}: choose from {', '.join(METRICS)}")
    return names


def _text(record: Mapping[str, Any]) -> str:
    """A row a metric, then what the rows are about."""
    rows = [("metric", "seam ratio", "95 % interval", "other phases", "jump", "trend", "seams")]
    for name, entry in record["metrics"].items():
        rows.append(
            (
                name,
                f"{entry['seam_ratio']:.3f}",
                between(entry["ci95"], ".3f"),
                f"at most {entry['largest_other_phase']:.3f}",
                f"{entry['jump']:.3g} {entry['unit']}",
                f"{entry['trend']:+.3f}",
                "yes" if entry["found"] else "not shown",
            )
        )
    source = {
        "sidecar": "as the sidecars say",
        "given": "as given",
        "estimated": "estimated from the videos",
    }[record["borders_from"]]
    return aligned(rows) + (
        f"{len(record['videos'])} videos; first block {record['first']} frames, later ones "
        f"{record['block']}, {source}\n"
    )
