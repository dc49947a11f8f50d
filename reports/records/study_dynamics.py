"""Writes Fig. 4's record from the points that ship with a student of the tiny study.

python -m reports.records.study_dynamics TRAINING.json --out OUT/records
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from drift.errors import UsageError
from drift.files import atomic_write_text, dump_json
from reports.records.figure_records import DynamicsFile
from reports.records.record_files import read_record

LOG = "dynamics.jsonl"


@dataclass(frozen=True, kw_only=True)
class StudyFile:
    """What the training record of a student of the tiny study says of Fig. 4."""

    schema: Literal["hiar-study/1"]
    row: str
    steps: int
    seed: int
    dynamics: tuple[Mapping[str, Any], ...]


def main() -> int:
    """Writes the record; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("training", type=Path, metavar="TRAINING_JSON")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    try:
        write_dynamics(args.training, args.out)
    except (UsageError, OSError) as error:
        sys.stderr.write(f"study_dynamics: {error}\n")
        return 2
    return 0


def write_dynamics(training: Path, out: Path) -> None:
    """Writes `dynamics.json` and its log.

    Raises:
        UsageError: The training record is of another schema, or holds fewer than two points.
    """
    study = read_record(training, StudyFile)
    if len(study.dynamics) < 2:
        raise UsageError(
            f"{training}: {len(study.dynamics)} points of Fig. 4; train it with run.sample_every "
            "above 0"
        )
    lines = "".join(json.dumps(dict(point)) + "\n" for point in study.dynamics)
    record = DynamicsFile(
        scale="tiny",
        training=f"tiny, row {study.row}, {study.steps} steps, seed {study.seed}",
        measure="OpenCV flow, top 5 %",
        unit="px a frame at 256",
        log=LOG,
    )
    out.mkdir(parents=True, exist_ok=True)
    atomic_write_text(out / LOG, lines)
    atomic_write_text(out / "dynamics.json", dump_json(asdict(record)))


if __name__ == "__main__":
    sys.exit(main())
