"""The record of a tiny study: every video's numbers, by row and training.

`scripts/train_tiny.py` makes them, hours of a laptop's work, and they ship: with `--mechanism` that
of one model, sampled in every way, and with `--study` that of the students, each row a training of
its own. A reproduction samples some rows anew, from the first training's weights, and says how near
it came:

    python -m reports.records.study_record mechanism RECORD --runs OUT --out OUT/records
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from drift.errors import UsageError
from drift.files import atomic_write_text, dump_json
from reports.records.drift_record import read_drift
from reports.records.figure_records import DynamicsPoint
from reports.records.record_files import read_json, read_record, schema_of
from reports.records.video_records import frames_sha256

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MECHANISM_RECORD, STUDENTS_RECORD = "records/mechanism.json", "records/students.json"
"""Where a reproduction puts the two records."""
R = TypeVar("R", bound="StudyRecord")
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
class RowOfTraining:
    """One training's videos of a row, a number a video in the order of the prompts.

    Attributes:
        noise_floor, mean_slope: Those of `drift score`, by the name of the metric.
        frames_sha256: One hash of all frames of the videos of preset tiny's prompts, the first.
    """

    drift: tuple[float, ...]
    seam_ratio: tuple[float, ...]
    proxies: Mapping[str, tuple[float, ...]]
    noise_floor: Mapping[str, float]
    mean_slope: Mapping[str, float]
    frames_sha256: str


@dataclass(frozen=True, kw_only=True)
class StudyRow:
    """One way to sample a model, over all its trainings.

    Attributes:
        model: Model of the study whose trainings they are; empty where there is only one.
        context_sigma: Sigma at which context is seen, None where it follows the step.
        made_here: What a reproduction made of it, None where it made nothing.
    """

    name: str
    label: str
    order: str
    context: str
    context_sigma: float | None
    trainings: tuple[RowOfTraining, ...]
    model: str = ""
    made_here: MadeHere | None = None

    def values(self, measure: str) -> NDArray[np.float64]:
        """One of `MEASURES`, (trainings, prompts)."""
        import numpy as np  # noqa: PLC0415  (keeps --help light)

        return np.array([
            {"drift": one.drift, "seam_ratio": one.seam_ratio, **one.proxies}[measure]
            for one in self.trainings
        ])  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StudyTraining:
    """How a model was trained once; `weights_sha256` is of what was sampled.

    Attributes:
        dynamics: Motion of its videos as training went on, points of Fig. 4; where it was followed.
        model: Name of the model; empty where the study has only one.
    """

    command: str
    seed: int
    settings: Mapping[str, Any]
    loss_curve: tuple[Mapping[str, float], ...]
    weights_sha256: str
    provenance: Mapping[str, Any]
    model: str = ""
    dynamics: tuple[DynamicsPoint, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """What the records of both studies hold.

    Attributes:
        run_prefix: What a run of the spec has before the name of the row that it samples.
        name: Name of the study; that of the job that writes its record begins with it.
        window: Latent frames that a block sees.
        reference: Row that changes are relative to.
    """

    run_prefix: ClassVar[str]
    name: ClassVar[str]
    scale: Literal["tiny"]
    prompts: tuple[str, ...]
    seconds: float
    window: int
    noise_seed: int
    reference: str
    trainings: tuple[StudyTraining, ...]
    rows: tuple[StudyRow, ...]
    provenance: Mapping[str, Any]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the trainings, the same for every model."""
        return tuple(dict.fromkeys(training.seed for training in self.trainings))

    def row(self, name: str) -> StudyRow:
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)

    def row_of(self, run: str) -> StudyRow | None:
        """The row that a run of the spec samples; None for a run that samples none."""
        return next((row for row in self.rows if self.run_prefix + row.name == run), None)

    def mean(self, row: str, measure: str = "drift") -> tuple[float, tuple[float, float]]:
        """Mean of a row over trainings and prompts, and its interval over both."""
        from drift.stats.crossed import crossed_interval  # noqa: PLC0415

        values = self.row(row).values(measure)
        return float(values.mean()), crossed_interval(values)

    def change(
        self, row: str, against: str, measure: str = "drift"
    ) -> tuple[float, tuple[float, float] | None]:
        """Relative change of a row's mean against another's, and its interval.

        The interval is over trainings and prompts, `drift.stats.crossed`.
        """
        from drift.stats.crossed import crossed_change_interval  # noqa: PLC0415

        ours, theirs = (self.row(name).values(measure) for name in (row, against))
        value = float(ours.mean() / theirs.mean() - 1)
        return value, crossed_change_interval(ours, theirs)


@dataclass(frozen=True, kw_only=True)
class MechanismRecord(StudyRecord):
    """Record of `scripts/train_tiny.py --mechanism`: one model, sampled in every way."""

    run_prefix: ClassVar[str] = "tiny-any-"
    name: ClassVar[str] = "mechanism"
    schema: Literal["mechanism/1"] = "mechanism/1"


@dataclass(frozen=True, kw_only=True)
class StudentsRecord(StudyRecord):
    """Record of `scripts/train_tiny.py --study`: every row a student of its own training."""

    run_prefix: ClassVar[str] = "tiny-"
    name: ClassVar[str] = "students"
    schema: Literal["students/1"] = "students/1"


def read_mechanism(path: Path) -> MechanismRecord:
    """Reads the record of the mechanism study, with what a reproduction made if there is some.

    Raises:
        UsageError: Another schema, a missing key, or rows of different sizes.
    """
    return _whole(path, read_record(path, MechanismRecord))


def read_students(path: Path) -> StudentsRecord:
    """Reads the record of the students; see `read_mechanism`."""
    return _whole(path, read_record(path, StudentsRecord))


def _whole(path: Path, record: R) -> R:
    wanted = (len(record.seeds), len(record.prompts))
    for row in record.rows:
        sizes = {len(one.drift) for one in row.trainings}
        if len(row.trainings) != wanted[0] or sizes != {wanted[1]}:
            raise UsageError(
                f"{path}: row {row.name} does not hold {wanted[0]} trainings and {wanted[1]} "
                "prompts: write the record again"
            )
    return record


def compare_with_record(record: Path, out: Path, kind: type[StudyRecord]) -> dict[str, Any]:
    """The shipped record with, at each row that `out` sampled, how near its videos came.

    Raises:
        UsageError: The record cannot be read, or a run has other videos than it.
    """
    data = read_json(record, schema_of(kind))
    for row in data["rows"]:
        run = kind.run_prefix + row["name"]
        if not (out / "drift" / run / "summary.json").is_file():
            continue
        scores = read_drift(out / "drift" / run).video_scores
        here, known = [scores[video] for video in sorted(scores)], row["trainings"][0]["drift"]
        if len(here) > len(known):
            raise UsageError(f"{record}: {len(known)} videos of {run}; {len(here)} were made here")
        there = known[: len(here)]
        row["made_here"] = {
            "mean": sum(here) / len(here),
            "largest_difference": max(abs(a - b) for a, b in zip(here, there, strict=True)),
            "same_frames": frames_sha256(out / "videos" / run)
            == row["trainings"][0]["frames_sha256"],
        }
    return data


KINDS: Mapping[str, type[StudyRecord]] = {
    kind.name: kind for kind in (MechanismRecord, StudentsRecord)
}
"""Kinds of records by the name of the study."""


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the record beside a reproduction's others; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=KINDS)
    parser.add_argument("record", type=Path, metavar="RECORD")
    parser.add_argument("--runs", type=Path, required=True, metavar="OUT")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args(argv)
    try:
        found = compare_with_record(args.record, args.runs, KINDS[args.study])
        args.out.mkdir(parents=True, exist_ok=True)
        atomic_write_text(args.out / f"{args.study}.json", dump_json(found))
    except (UsageError, OSError) as error:
        sys.stderr.write(f"study_record: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
