"""Writes Fig. 4's record from the points that ship with a student of the tiny study.

python -m reports.records.study_dynamics TRAINING.json --out OUT/records
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from drift.files import atomic_write_text, dump_json
from reports.records.figure_records import DYNAMICS_SCHEMA
from reports.records.record_files import RecordError, member, read_json

STUDY_SCHEMA = "hiar-study/1"
LOG = "dynamics.jsonl"


def main() -> int:
    """Writes the record; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("training", type=Path, metavar="TRAINING_JSON")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    try:
        write_dynamics(args.training, args.out)
    except (RecordError, OSError) as error:
        sys.stderr.write(f"study_dynamics: {error}\n")
        return 2
    return 0


def write_dynamics(training: Path, out: Path) -> None:
    """Writes `dynamics.json` and its log.

    Raises:
        RecordError: The training record is of another schema, or holds fewer than two points.
    """
    data = read_json(training, STUDY_SCHEMA)
    points: list[dict[str, Any]] = member(training, data, "dynamics")
    if len(points) < 2:
        raise RecordError(
            f"{training}: {len(points)} points of Fig. 4; train it with run.sample_every above 0"
        )
    lines = "".join(json.dumps(point) + "\n" for point in points)
    record = {
        "schema": DYNAMICS_SCHEMA,
        "scale": "tiny",
        "training": f"tiny, row {data['row']}, {data['steps']} steps, seed {data['seed']}",
        "measure": "OpenCV flow, top 5 %",
        "unit": "px a frame at 256",
        "log": LOG,
    }
    out.mkdir(parents=True, exist_ok=True)
    atomic_write_text(out / LOG, lines)
    atomic_write_text(out / "dynamics.json", dump_json(record))


if __name__ == "__main__":
    sys.exit(main())
