"""Holds a written record against its committed JSON schema."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).parents[2] / "docs/schemas"


def check_record(record: dict[str, Any] | Path) -> None:
    """Fails, and names the field, if a record is not what the schema of its kind says."""
    data = json.loads(record.read_text("utf-8")) if isinstance(record, Path) else record
    name = data["schema"].replace("/", "-")
    schema = json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))
    # Through JSON and back, since a record in memory may hold tuples.
    Draft202012Validator(schema).validate(json.loads(json.dumps(data)))
