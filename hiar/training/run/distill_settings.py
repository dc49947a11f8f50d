"""The [distill] table of a config: a recipe, a row of the paper's tables, and changed fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hiar.errors import UsageError
from hiar.training.recipes import DistillConfig, ablation, recipe
from hiar.training.run.config_files import overlay


def distill_config(table: Mapping[str, Any], where: str) -> DistillConfig:
    """Settings of a distillation.

    Args:
        table: `recipe` (paper, release), `row` (a key of `ABLATIONS`; "" is the recipe itself), and
            fields of `DistillConfig` to change; `forward_kl = "none"` leaves the term out.
        where: Dotted name of the table, for messages.
    """
    changes = dict(table)
    config = recipe(_name(changes, "recipe", "paper", where))
    row = _name(changes, "row", "", where)
    if row:
        config = ablation(row, config)
    return overlay(config, changes, where)


def _name(changes: dict[str, Any], key: str, default: str, where: str) -> str:
    value = changes.pop(key, default)
    if not isinstance(value, str):
        raise UsageError(f"config key {where}{key} is {value!r}: it must be a name")
    return value
