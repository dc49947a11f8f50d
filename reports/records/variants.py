"""Records of trained models, which fill the rows of Tables 2 and 3 that need a training run.

`records/variants/<row>.json` of a reproduction folder, with paths relative to that folder:

    {"schema": "reports-variant/1", "row": "no-fkl", "scale": "tiny" | "paper",
     "what": "tiny, step-first, DMD without forward KL, 400 steps", "drift": "drift/no-fkl",
     "vbench": "vbench/no-fkl.json" | null,
     "training": {"steps": 400, "commit": "...", "weights_sha256": "..."}}

`row` is an id of paper_numbers.json. `drift` is a run of `drift score`, `vbench` a file of
`hiar-vbench score`. Where several tables hold the row, it is filled in each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from drift.errors import UsageError
from reports.paper.published import published_rows
from reports.records.drift_record import DriftRecord, read_drift
from reports.records.record_files import read_record
from reports.records.vbench_records import VBenchRecord, read_vbench


@dataclass(frozen=True, kw_only=True)
class VariantFile:
    """What a file of `records/variants` says."""

    schema: Literal["reports-variant/1"]
    row: str
    scale: Literal["tiny", "paper"]
    what: str
    drift: str
    vbench: str | None
    training: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class VariantRecord:
    """One trained model, scored.

    Attributes:
        row: Id of the row that it fills.
        what: What the model is, in one line.
        training: What the training run recorded: steps, commit, hash of the weights.
    """

    row: str
    scale: str
    what: str
    drift: DriftRecord
    vbench: VBenchRecord | None
    training: Mapping[str, Any]


def read_variants(out: Path, scale: str) -> dict[str, VariantRecord]:
    """Reads the trained models of a reproduction, by row.

    Args:
        out: The reproduction folder.
        scale: Scale of the preset; records of another scale are refused, lest numbers mix.

    Raises:
        UsageError: A row is unknown or has two records, a scale is another one, or a path leaves
            the folder.
    """
    found: dict[str, VariantRecord] = {}
    for path in sorted((out / "records/variants").glob("*.json")):
        record = _read_variant(path, out)
        if record.scale != scale:
            raise UsageError(
                f"{path}: scale is {record.scale!r}, this preset's is {scale!r}; keep one scale a "
                "folder"
            )
        if record.row in found:
            raise UsageError(f"{path}: row {record.row!r} has a record already; remove one")
        found[record.row] = record
    return found


def _read_variant(path: Path, out: Path) -> VariantRecord:
    about = read_record(path, VariantFile)
    known = published_rows()
    if about.row not in known:
        raise UsageError(
            f"{path}: row {about.row!r} is unknown; choose from {', '.join(sorted(known))}"
        )
    return VariantRecord(
        row=about.row,
        scale=about.scale,
        what=about.what,
        drift=read_drift(_inside(path, out, about.drift)),
        vbench=read_vbench(_inside(path, out, about.vbench)) if about.vbench else None,
        training=about.training,
    )


def _inside(path: Path, out: Path, name: str) -> Path:
    if not (out / name).resolve().is_relative_to(out.resolve()):
        raise UsageError(f"{path}: {name!r} leaves the reproduction folder; copy it into it")
    return out / name
