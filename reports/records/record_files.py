"""Reads JSON records as their models: the version first, then every field that the model has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from drift.errors import UsageError
from drift.typed_data import checked

T = TypeVar("T")


def schema_of(kind: type[Any]) -> str:
    """Name and version of a model's records, which its field `schema` allows."""
    name: str = get_args(get_type_hints(kind)["schema"])[0]
    return name


def read_record(path: Path, kind: type[T]) -> T:
    """Reads a JSON record; keys that the model does not have are passed over.

    Raises:
        UsageError: The file is no JSON object, is of another version, or lacks a field.
    """
    return checked(kind, read_json(path, schema_of(kind)), str(path), unknown="ignore")


def read_json(path: Path, schema: str) -> dict[str, Any]:
    """Reads a JSON record and checks its schema.

    Raises:
        UsageError: The file is no JSON object, or its schema is another one.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); write it again") from error
    found = data.get("schema") if isinstance(data, dict) else None
    if found != schema:
        raise UsageError(
            f"{path}: schema is {found!r}; this version reads {schema!r}: write the record again, "
            "or remove it"
        )
    record: dict[str, Any] = data
    return record


def member(path: Path, data: Mapping[str, Any], key: str) -> Any:
    """Returns a value of a record.

    Raises:
        UsageError: The key is not there.
    """
    if key not in data:
        raise UsageError(f"{path}: {key!r} is missing; write the record again")
    return data[key]


def read_lines(path: Path, kind: type[T]) -> list[T]:
    """Reads a file of JSON objects, one a line; a last line that was cut short is passed over.

    Raises:
        UsageError: The file is not there, or another line is no such object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); copy it there") from error
    lines = text.splitlines()
    found: list[T] = []
    for number, line in enumerate(lines, start=1):
        try:
            item = json.loads(line)
        except ValueError as error:
            if number == len(lines) and not text.endswith("\n"):
                break
            raise UsageError(f"{path}: line {number} is no JSON; copy the file again") from error
        found.append(checked(kind, item, f"{path}: line {number}", unknown="ignore"))
    return found
