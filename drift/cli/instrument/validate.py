"""`drift validate`: what each metric sees of planted faults, and what it is blind to."""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drift.cli import networks
from drift.cli.layout import aligned, deliver, names_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = (
        "Score control videos and print, for each metric, how far it moves at each degradation, "
        "how often the larger of two doses reads further, and what it is blind to. DIR is a folder "
        "that drift controls wrote, or one of real videos, whose controls are then written first."
    )
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="folder of drift controls, or of real videos"
    )
    parser.add_argument(
        "--metrics", metavar="A,B", help="metrics or groups (default: those without weights)"
    )
    parser.add_argument(
        "--work", type=Path, metavar="DIR2",
        help="keep controls and run here, and go on from what is there (default: a folder that is "
        "removed at the end)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=float, metavar="S",
        help="of real videos, the first S seconds only (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--recursive", "-r", action="store_true", help="of real videos, those in sub-folders too"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the heat map")
    parser.add_argument("--workers", type=int, help="processes (default: one a CPU)")
    networks.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Writes controls if need be, scores them, prints, writes and draws."""
    from drift.controls.control import all_controls  # noqa: PLC0415  (imports OpenCV)
    from drift.controls.folder import write_controls  # noqa: PLC0415
    from drift.controls.heat_map import draw_heat_map  # noqa: PLC0415
    from drift.controls.validation import holds_controls, validate_controls  # noqa: PLC0415
    from drift.run.pool import num_cpus  # noqa: PLC0415
    from drift.run.progress import video_counter  # noqa: PLC0415
    from drift.score.config import DEFAULT_METRICS, ScoreConfig  # noqa: PLC0415

    config = ScoreConfig(
        metrics=names_of(arguments.metrics) if arguments.metrics else DEFAULT_METRICS,
        every=arguments.every,
        variants=networks.variants(arguments),
    )
    with _work_folder(arguments.work) as work:
        folder = arguments.folder
        if not holds_controls(folder):
            folder = work / "controls"
            write_controls(
                [arguments.folder],
                folder,
                all_controls(),
                seconds=arguments.seconds,
                recursive=arguments.recursive,
                on_video=video_counter(),
                workers=arguments.workers or num_cpus(),
            )
        record = validate_controls(
            folder,
            work / "run",
            config=config,
            settings=networks.settings(arguments),
            workers=arguments.workers,
        )
    if arguments.figure is not None:
        draw_heat_map(arguments.figure, record)
    deliver(arguments, record, _text)
    return 0


@contextmanager
def _work_folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="drift-validate-") as folder:
        yield Path(folder)


def _text(record: Mapping[str, Any]) -> str:
    """A row a degradation, then a row a control without doses, then what nobody sees."""
    columns = record["columns"]
    first = next(iter(columns.values()))
    head = ("largest dose, pairs in order", *columns)
    rows = [
        (each, *(_cell(entry, each) for entry in columns.values()))
        for each in first["degradations"]
    ]
    undosed = [
        (each, *(f"{entry['controls'][each]:.2f}" for entry in columns.values()))
        for each in first["controls"]
    ]
    marked = [f"{name} {n} of {len(record['sources'])}" for name, n in record["frozen"].items()]
    blind = [
        f"{name} is blind to {', '.join(entry['blind_to']) or 'none of these'}\n"
        for name, entry in columns.items()
    ]
    return (
        aligned([head, *rows])
        + "\n"
        + aligned([("mean drift without a dose", *columns), *undosed])
        + "\n"
        + "".join(blind)
        + f"marked frozen: {', '.join(marked) or 'none'}\n"
    )


def _cell(entry: Mapping[str, Any], degradation: str) -> str:
    sight = entry["degradations"][degradation]
    mark = " blind" if degradation in entry["blind_to"] else ""
    return f"{sight['effects'][-1]:+.2f} {100 * sight['accuracy']:.0f}%{mark}"
