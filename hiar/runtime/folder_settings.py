"""A folder belongs to the settings it was begun with; others are told which fields differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hiar.errors import UsageError
from hiar.runtime.files import atomic_write_text, remove_leftovers


def claim(path: Path, facts: dict[str, Any]) -> None:
    """Note what a folder is made with, or check that it is this.

    What a killed process was writing there is removed.

    Raises:
        UsageError: If it was begun with other settings; the differing fields are named.
    """
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise UsageError(f"{path} is damaged: remove the folder and begin again") from None
        changed = differing(found, facts)
        if changed:
            raise UsageError(
                f"{path.parent} was begun with other settings ({'; '.join(changed)}): "
                "use those, or another --out"
            )
    else:
        atomic_write_text(path, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    remove_leftovers(path.parent)


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
