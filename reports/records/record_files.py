"""Reads JSON records: checks the schema first and names a missing key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drift.errors import UsageError


class RecordError(UsageError):
    """A record cannot be read; the message is one line for the user."""


def read_json(path: Path, schema: str) -> dict[str, Any]:
    """Reads a JSON record and checks its schema.

    Raises:
        RecordError: The file is no JSON object, or its schema is another one.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: cannot be read ({error}); write it again") from error
    found = data.get("schema") if isinstance(data, dict) else None
    if found != schema:
        raise RecordError(
            f"{path}: schema is {found!r}; this version reads {schema!r}: write the record again, "
            "or remove it"
        )
    record: dict[str, Any] = data
    return record


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Reads a file of JSON objects, one a line; a last line that was cut short is passed over.

    Raises:
        RecordError: The file is not there, or another line is no JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: cannot be read ({error}); copy it there") from error
    lines = text.splitlines()
    found: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        try:
            item = json.loads(line)
        except ValueError as error:
            if number == len(lines) and not text.endswith("\n"):
                break
            raise RecordError(f"{path}: line {number} is no JSON; copy the file again") from error
        if not isinstance(item, dict):
            raise RecordError(f"{path}: line {number} is no JSON object; copy the file again")
        found.append(item)
    return found


def member(path: Path, data: Mapping[str, Any], key: str) -> Any:
    """Returns a value of a record.

    Raises:
        RecordError: The key is not there.
    """
    if key not in data:
        raise RecordError(f"{path}: {key!r} is missing; write the record again")
    return data[key]
