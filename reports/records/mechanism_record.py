"""The record of the mechanism study: every video's numbers, by way to sample and training.

`scripts/train_tiny.py --mechanism` makes it, hours of a laptop's work, and it ships. A reproduction
samples some of its rows anew, from the first training's weights, and says how near it came:

    python -m reports.records.mechanism_record RECORD --runs OUT --out OUT/records
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drift.errors import UsageError
from drift.files import atomic_write_text, dump_json
from reports.records.drift_record import read_drift
from reports.records.record_files import member, read_json
from reports.records.video_records import frames_sha256

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MECHANISM_SCHEMA = "mechanism/1"
MECHANISM_RECORD = "records/mechanism.json"
RUN_PREFIX = "tiny-any-"
"""A run of the spec has this before the name of the row that it samples."""
MEASURES = ("drift", "seam_ratio", "dynamic_degree", "motion_smoothness", "prompt_following")


@dataclass(frozen=True, kw_only=True)
class MadeHere:
    """A row that this reproduction sampled from the first training's weights.

    Attributes:
        mean: Mean drift of its videos.
        largest_difference: Largest difference of a video's drift from that of the record.
        same_frames: Whether all frames equal those of the record, bit for bit. Other instruction
            sets round otherwise, so they may differ on another machine.
    """

    mean: float
    largest_difference: float
    same_frames: bool


@dataclass(frozen=True, kw_only=True)
class MechanismRow:
    """One way to sample, over all trainings.

    Attributes:
        context_sigma: Sigma at which context is seen, None where it follows the step.
        values: (trainings, prompts) by measure.
        made_here: What a reproduction made of it, None where it made nothing.
    """

    name: str
    label: str
    order: str
    context_sigma: float | None
    values: Mapping[str, NDArray[np.float64]]
    made_here: MadeHere | None


@dataclass(frozen=True, kw_only=True)
class MechanismRecord:
    """The study; `rows` by name, `reference` the row that changes are relative to."""

    rows: Mapping[str, MechanismRow]
    reference: str
    seeds: tuple[int, ...]
    num_prompts: int
    seconds: float

    def change(
        self, row: str, against: str, measure: str = "drift"
    ) -> tuple[float, tuple[float, float] | None]:
        """Relative change of a row's mean against another's, and its interval.

        The interval is over trainings and prompts, `drift.stats.crossed`.
        """
        from drift.stats.crossed import crossed_change_interval  # noqa: PLC0415

        ours, theirs = (self.rows[name].values[measure] for name in (row, against))
        value = float(ours.mean() / theirs.mean() - 1)
        return value, crossed_change_interval(ours, theirs)


def read_mechanism(path: Path) -> MechanismRecord:
    """Reads the record, as it ships or with what a reproduction made.

    Raises:
        UsageError: Another schema, a missing key, or rows of different sizes.
    """
    data = read_json(path, MECHANISM_SCHEMA)
    rows = {row["name"]: _row(path, row) for row in member(path, data, "rows")}
    prompts = len(member(path, data, "prompts"))
    seeds = tuple(training["seed"] for training in member(path, data, "trainings"))
    for row in rows.values():
        for measure, values in row.values.items():
            if values.shape != (len(seeds), prompts):
                raise UsageError(
                    f"{path}: {row.name}, {measure}: {values.shape} values; there are {len(seeds)} "
                    f"trainings and {prompts} prompts: write the record again"
                )
    return MechanismRecord(
        rows=rows, reference=member(path, data, "reference"), seeds=seeds, num_prompts=prompts,
        seconds=float(member(path, data, "seconds")),
    )  # fmt: skip


def _row(path: Path, data: Mapping[str, Any]) -> MechanismRow:
    import numpy as np  # noqa: PLC0415  (keeps --help light)

    trainings = member(path, data, "trainings")
    values = {
        measure: np.array([
            training[measure] if measure in training else training["proxies"][measure]
            for training in trainings
        ])
        for measure in MEASURES
    }  # fmt: skip
    made = data.get("made_here")
    return MechanismRow(
        name=member(path, data, "name"), label=member(path, data, "label"),
        order=member(path, data, "order"), context_sigma=member(path, data, "context_sigma"),
        values=values, made_here=None if made is None else MadeHere(**made),
    )  # fmt: skip


def compare_with_record(record: Path, out: Path) -> dict[str, Any]:
    """The shipped record with, at each row that `out` sampled, how near its videos came.

    Raises:
        UsageError: The record cannot be read, or a run has other videos than it.
    """
    data = read_json(record, MECHANISM_SCHEMA)
    for row in data["rows"]:
        run = RUN_PREFIX + row["name"]
        if not (out / "drift" / run / "summary.json").is_file():
            continue
        scores = read_drift(out / "drift" / run).video_scores
        here, there = [scores[video] for video in sorted(scores)], row["trainings"][0]["drift"]
        if len(here) != len(there):
            raise UsageError(f"{record}: {len(there)} videos of {run}; {len(here)} were made here")
        row["made_here"] = {
            "mean": sum(here) / len(here),
            "largest_difference": max(abs(a - b) for a, b in zip(here, there, strict=True)),
            "same_frames": frames_sha256(out / "videos" / run)
            == row["trainings"][0]["frames_sha256"],
        }
    return data


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the record beside a reproduction's others; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path, metavar="RECORD")
    parser.add_argument("--runs", type=Path, required=True, metavar="OUT")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args(argv)
    try:
        found = compare_with_record(args.record, args.runs)
        args.out.mkdir(parents=True, exist_ok=True)
        atomic_write_text(args.out / Path(MECHANISM_RECORD).name, dump_json(found))
    except (UsageError, OSError) as error:
        sys.stderr.write(f"mechanism_record: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
