"""Writes docs/schemas: a JSON schema of each kind of record, from the models of `reports`.

python scripts/record_schemas.py
"""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic.json_schema import GenerateJsonSchema

from drift.typed_data import adapter
from hiar.bench.rows import GROUPS, Row
from reports.records.figure_records import DynamicsFile
from reports.records.record_files import schema_of
from reports.records.study_record import MechanismRecord, StudentsRecord
from reports.records.variants import VariantFile
from reports.records.vbench_records import ProxyRecord
from reports.run.job_records import JobRecord
from reports.schemas.drift_records import (
    Comparison,
    Lengths,
    Power,
    Seams,
    Summary,
    Validation,
)
from reports.schemas.eval_records import DimensionRun, VBenchScore
from reports.schemas.hiar_records import (
    BaselineVideo,
    HiarVideo,
    SampleRun,
    Strips,
    Table,
    Timing,
    Training,
)
from reports.submissions.submission import Submission

SCHEMAS = Path(__file__).parents[1] / "docs/schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
INTRODUCTION = """\
# Schemas of records

A [JSON schema](https://json-schema.org) for each kind of record, for programs that read what the
commands write. A record names its kind and version in the field `schema`. Made by
`python scripts/record_schemas.py` from the models in `reports/schemas`; a test holds both equal.

| schema | of | file |
|---|---|---|
"""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Record of `hiar bench`: a row an order, flat; `counted` says what the times are of."""

    schema: Literal["bench/1"]
    counted: str
    rows: tuple[Row, ...]
    settings: Table | None
    provenance: Table
    model: Table | None = None


MODELS: tuple[type[Any], ...] = (
    Bench, Timing, HiarVideo, BaselineVideo, SampleRun, Training, Strips,
    Summary, Comparison, Lengths, Power, Seams, Validation,
    DimensionRun, VBenchScore, ProxyRecord,
    DynamicsFile, MechanismRecord, StudentsRecord, VariantFile, JobRecord, Submission,
)  # fmt: skip


class _Untitled(GenerateJsonSchema):
    """Leaves out titles of fields, which only repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Whether a field gets a title."""
        return False


def json_schema(kind: type[Any]) -> dict[str, Any]:
    """The JSON schema of one kind of record."""
    model: Any = kind
    found: dict[str, Any] = adapter(model).json_schema(schema_generator=_Untitled)
    definitions = found["$defs"]
    root = definitions.pop(kind.__name__)
    if kind is Bench:
        _flatten(definitions)
    # A record always names its version, also where its model knows it.
    root["required"] = sorted({*root["required"], "schema"})
    return {"$schema": DIALECT, **root, "title": schema_of(kind), "$defs": definitions}


def _flatten(definitions: Mapping[str, Any]) -> None:
    """Puts the fields of a row's groups beside its own, as `Row.facts` does."""
    properties = definitions["Row"]["properties"]
    for group in GROUPS:
        (reference,) = (one["$ref"] for one in properties.pop(group)["anyOf"] if "$ref" in one)
        properties |= definitions[reference.rpartition("/")[2]]["properties"]


def schema_files() -> dict[str, str]:
    """The text of each file of the folder, by name."""
    rows, texts = [], {}
    for schema, kind in sorted((schema_of(kind), kind) for kind in MODELS):
        name = f"{schema.replace('/', '-')}.json"
        summary = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
        rows.append(f"| {schema} | {summary} | [{name}]({name}) |\n")
        texts[name] = json.dumps(json_schema(kind), indent=1) + "\n"
    return {"README.md": INTRODUCTION + "".join(rows), **texts}


def main() -> None:
    """Writes the folder anew."""
    shutil.rmtree(SCHEMAS, ignore_errors=True)
    SCHEMAS.mkdir()
    for name, text in schema_files().items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
