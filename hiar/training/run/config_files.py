"""From TOML files to frozen dataclasses, strictly: an unknown key or a wrong type is an error.

A file may name another as its `base` and change fields of it; `--set a.b=value` changes one more.
"""

from __future__ import annotations

import difflib
import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hiar.errors import UsageError

T = TypeVar("T")
Table = dict[str, Any]
PRESETS = Path(__file__).parents[1] / "presets"


def preset_names() -> list[str]:
    """Names of the shipped configurations."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def read_config(name_or_path: str, changes: Sequence[str] = ()) -> Table:
    """The merged table of a file, its bases, and `key=value` changes.

    Args:
        name_or_path: A preset's name or a TOML file.
        changes: `key=value` with dotted keys; a value that is not valid TOML is taken as a string.
    """
    table = _read(name_or_path)
    for change in changes:
        key, separator, value = change.partition("=")
        if not separator or not key.strip():
            raise UsageError(f"--set {change!r}: write key=value, such as steps=100")
        nested: Any = _value(value.strip())
        for part in reversed(key.strip().split(".")):
            nested = {part: nested}
        table = merge(table, nested)
    return table


def _read(name_or_path: str, seen: tuple[str, ...] = ()) -> Table:
    path = PRESETS / f"{name_or_path}.toml"
    if not path.is_file() or "/" in name_or_path:
        path = Path(name_or_path)
    if name_or_path in seen:
        raise UsageError(f"configs name each other as base: {' -> '.join((*seen, name_or_path))}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(preset_names())
        raise UsageError(
            f"no config {name_or_path!r}: give a TOML file that exists or a preset: {known}"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the config {path} cannot be read ({error}): give a TOML file") from None
    base = table.pop("base", None)
    if base is None:
        return table
    return merge(_read(str(base), (*seen, name_or_path)), table)


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Table:
    """`base` with `changes`, table by table."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def build(kind: type[T], table: Mapping[str, Any], where: str = "") -> T:
    """A dataclass from a table.

    Args:
        kind: Dataclass to build.
        table: Values by field name; nested tables for nested dataclasses.
        where: Dotted name of the table, for messages.

    Raises:
        UsageError: For an unknown or missing key or a value of a wrong type, by its dotted name.
    """
    hints = _checked(kind, table, where)
    values = {key: _convert(hints[key], value, f"{where}{key}") for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:
        missing = str(error).partition("argument")[2].lstrip("s: ")
        section = f"[{where.rstrip('.')}] " if where else ""
        raise UsageError(f"the config {section}lacks {missing or error}: add it") from None


def overlay(base: T, table: Mapping[str, Any], where: str = "") -> T:
    """A copy of a dataclass with the fields of a table changed, nested dataclasses included.

    Args:
        base: Instance whose fields are kept unless the table changes them.
        table: Values by name of the fields to change.
        where: Dotted name of the table, for messages.

    Raises:
        UsageError: As in `build`.
    """
    hints = _checked(type(base), table, where)
    values = {}
    for key, value in table.items():
        old, name = getattr(base, key), f"{where}{key}"
        nested = is_dataclass(old) and isinstance(value, Mapping)
        values[key] = (
            overlay(old, value, f"{name}.") if nested else _convert(hints[key], value, name)
        )
    return replace(base, **values)  # type: ignore[type-var]


def _checked(kind: type, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Types of a dataclass's fields, once every key of the table is one of them."""
    known = [field.name for field in fields(kind)]
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
            raise UsageError(f"config key {where}{key} is unknown: {hint}")
    return get_type_hints(kind)


def _convert(hint: Any, value: Any, name: str) -> Any:
    """A TOML value as the type that a field is annotated with."""
    if get_origin(hint) in (Union, types.UnionType):
        options = [option for option in get_args(hint) if option is not type(None)]
        optional = len(options) < len(get_args(hint))
        return None if optional and value in ("none", None) else _convert(options[0], value, name)
    if get_origin(hint) is Literal and value not in get_args(hint):
        choices = ", ".join(map(str, get_args(hint)))
        raise UsageError(f"config key {name} is {value!r}: use one of {choices}")
    if get_origin(hint) is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(get_args(hint)[0], part, name) for part in value)
    if isinstance(hint, type) and is_dataclass(hint) and isinstance(value, Mapping):
        return build(hint, value, f"{name}.")
    return _plain(hint, value, name)


def _plain(hint: Any, value: Any, name: str) -> Any:
    if hint is float and type(value) is int:
        return float(value)
    if hint is Any or get_origin(hint) is Literal or type(value) is hint:
        return value
    wanted = getattr(hint, "__name__", str(hint))
    raise UsageError(f"config key {name} is {value!r}: it must be of type {wanted}")
