"""Tables of a TOML file as frozen dataclasses: a key that is no field is an error that names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from drift.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
SCALARS = {"str": str, "int": int, "float": float}


def named_tables(
    kind: type[T],
    tables: Mapping[str, Mapping[str, Any]],
    where: str,
    **known: Mapping[str, object],
) -> dict[str, T]:
    """Builds a dataclass from each table of a section; `name` is its key there."""
    return {
        name: from_table(kind, {"name": name, **table}, f"{where}.{name}", **known)
        for name, table in tables.items()
    }


def from_table(
    kind: type[T], table: Mapping[str, Any], where: str, **known: Mapping[str, object]
) -> T:
    """Builds a dataclass from a table whose keys must be exactly its fields.

    Args:
        kind: The dataclass.
        table: The table's values by key.
        where: Name of the table in the file, for messages.
        **known: For fields that refer to other tables: the objects by name. A name in such a
            field, or each name of a list, is replaced by its object.

    Raises:
        UsageError: A key is unknown or missing, or a value is of the wrong type.
    """
    expected = {field.name: field for field in fields(kind)}
    for key in table:
        if key not in expected:
            raise UsageError(f"{where}: unknown key {key!r}; known: {', '.join(sorted(expected))}")
    for key, field in expected.items():
        if key not in table and _is_required(field):
            raise UsageError(f"{where}: key {key!r} is missing")
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key in known:
            values[key] = _look_up(known[key], value, f"{where}.{key}")
        else:
            values[key] = _checked(value, str(expected[key].type), f"{where}.{key}")
    return kind(**values)


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _look_up(known: Mapping[str, object], value: object, where: str) -> object:
    if isinstance(value, list):
        return tuple(_look_up(known, one, where) for one in value)
    if not isinstance(value, str) or value not in known:
        raise UsageError(f"{where}: {value!r} is unknown; choose from {', '.join(known)}")
    return known[value]


def _checked(value: Any, annotation: str, where: str) -> Any:
    """Returns the value, a list as a tuple, if it is of the annotated type; raises otherwise."""
    if annotation.startswith("tuple["):
        if not isinstance(value, list | tuple):
            raise UsageError(f"{where}: {value!r} is no list")
        item = annotation.removeprefix("tuple[").partition(",")[0]
        return tuple(_checked(one, item, where) for one in value)
    expected = SCALARS.get(annotation)
    if expected is None:
        return value
    if expected is float and type(value) is int:
        return float(value)
    if not isinstance(value, expected) or isinstance(value, bool):
        raise UsageError(f"{where}: {value!r} is no {annotation}")
    return value
