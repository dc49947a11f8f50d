"""Which fields of two nested settings differ, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One phrase a differing field, by dotted name: `ode.steps 48, now 12`."""
    before, after = flatten(old), flatten(new)
    return [
        f"{name} {_show(before, name)}, now {_show(after, name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) or (name in before) != (name in after)
    ]


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names; lists stay values."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _show(flat: Mapping[str, Any], name: str) -> str:
    return json.dumps(flat[name], ensure_ascii=False) if name in flat else "absent"
