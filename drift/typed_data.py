"""Data of TOML and JSON files as typed objects, checked strictly, with errors of one line."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from functools import cache
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from drift.errors import UsageError

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

T = TypeVar("T")
UNKNOWN_KEY = "unexpected_keyword_argument"
"""pydantic's name of an unknown key of a dataclass."""


def checked(
    kind: type[T], data: object, where: str = "", *, unknown: Literal["forbid", "ignore"] = "forbid"
) -> T:
    """Returns data as an object of a type: nothing is missing, converted or infinite.

    Args:
        kind: A dataclass, or a container of dataclasses such as `dict[str, Cost]`.
        data: What a parser of TOML or JSON returned.
        where: Name of the data in its file, for messages.
        unknown: What becomes of unknown keys. People's files may hold none; the record of a newer
            version may.

    Raises:
        UsageError: A value breaks a rule; the line names its key, the rule and the remedy.
    """
    from pydantic import ValidationError  # noqa: PLC0415  (keeps --help light)

    try:
        found: T = adapter(cast("Any", kind), unknown).validate_json(
            json.dumps([data], default=str)
        )[0]
    except ValidationError as found_wrong:
        errors = found_wrong.errors()
        # A misspelt key is a missing one too; the unknown key says more.
        first = next((error for error in errors if error["type"] == UNKNOWN_KEY), errors[0])
        raise UsageError(_message(first, kind, where)) from None
    return found


@cache
def adapter(kind: Any, unknown: Literal["forbid", "ignore"] = "forbid") -> TypeAdapter[Any]:
    """The strict reader of a list of one object; only around a container may a config stand."""
    from pydantic import ConfigDict, TypeAdapter  # noqa: PLC0415

    config = ConfigDict(strict=True, extra=unknown, allow_inf_nan=False)
    return TypeAdapter(tuple[kind], config=config)


def _message(error: ErrorDetails, kind: Any, where: str) -> str:
    *parents, key = ("", *error["loc"][1:])
    place = _joined(".", where, *map(str, parents))
    if error["type"] == UNKNOWN_KEY:
        known = _fields(kind, parents[1:])
        close = difflib.get_close_matches(str(key), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"
        return _joined(": ", place, f"unknown key {key!r}; {hint}")
    if error["type"].startswith("missing"):
        return _joined(": ", place, f"key {key!r} is missing; add it")
    full = _joined(".", place, str(key))
    if error["type"] == "value_error":  # raised by the object, which knows more of its rules
        return _joined(": ", full, str(error["ctx"]["error"]))
    return f"{full} is {error['input']!r:.60}; {error['msg'].replace('Input', 'it')}"


def _joined(separator: str, *parts: str) -> str:
    return separator.join(filter(None, parts))


def _fields(kind: Any, keys: Sequence[object]) -> list[str]:
    """Names of the fields of the dataclass that lies below some keys of a type."""
    for key in (*keys, None):
        if get_origin(kind) in (Union, UnionType):
            kind = next(option for option in get_args(kind) if option is not type(None))
        if key is not None:
            inner = get_args(kind)
            kind = inner[isinstance(key, str)] if inner else get_type_hints(kind)[str(key)]
    return list(get_type_hints(kind))
