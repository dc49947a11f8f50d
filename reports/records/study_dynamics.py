"""Writes Fig. 4's record from the points that a student's trainings left in the study's record.

python -m reports.records.study_dynamics RECORD --model no-fkl --out OUT/records
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from drift.errors import UsageError
from drift.files import atomic_write_text, dump_json
from reports.records.figure_records import ATTENTIONS, DynamicsFile, DynamicsPoint
from reports.records.study_record import read_students

LOG = "dynamics.jsonl"


def main() -> int:
    """Writes the record; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("record", type=Path, metavar="RECORD")
    parser.add_argument("--model", required=True, help="model of the study")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    try:
        write_dynamics(args.record, args.model, args.out)
    except (UsageError, OSError) as error:
        sys.stderr.write(f"study_dynamics: {error}\n")
        return 2
    return 0


def write_dynamics(record: Path, model: str, out: Path) -> None:
    """Writes `dynamics.json` and its log: the mean over the model's trainings at each checkpoint.

    Raises:
        UsageError: The record is of another schema, or its trainings of the model hold fewer than
            two points or differ in their steps.
    """
    trainings = [one for one in read_students(record).trainings if one.model == model]
    steps = {tuple(point.step for point in one.dynamics) for one in trainings}
    if len(steps) != 1 or len(min(steps)) < 2:
        raise UsageError(
            f"{record}: the trainings of {model!r} hold points at {len(steps)} sets of steps; "
            "train them with one run.sample_every above 0"
        )
    points = [mean_point(same) for same in zip(*(one.dynamics for one in trainings), strict=True)]
    seeds = ", ".join(str(one.seed) for one in trainings)
    about = DynamicsFile(
        scale="tiny",
        training=f"tiny, row {model}, {points[-1].step} steps, mean of seeds {seeds}",
        measure="OpenCV flow, top 5 %",
        unit="px a frame at 256",
        log=LOG,
    )
    out.mkdir(parents=True, exist_ok=True)
    atomic_write_text(out / LOG, "".join(json.dumps(asdict(point)) + "\n" for point in points))
    atomic_write_text(out / "dynamics.json", dump_json(asdict(about)))


def mean_point(points: Sequence[DynamicsPoint]) -> DynamicsPoint:
    """One checkpoint of several trainings; its videos are those of all."""
    count = len(points)
    return DynamicsPoint(
        step=points[0].step,
        bidirectional=sum(point.bidirectional for point in points) / count,
        causal=sum(point.causal for point in points) / count,
        videos={
            name: tuple(value for point in points for value in point.videos.get(name, ()))
            for name in ATTENTIONS
        },
    )


if __name__ == "__main__":
    sys.exit(main())
