"""Finished students of the study into the tiny assets: bfloat16 weights with a record each."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tiny_models.study import EMA_WEIGHTS, StudyConfig, StudyRun

from hiar.cli.train import RECORD
from hiar.runtime.files import atomic_path, atomic_write_text
from hiar.runtime.provenance import file_sha256
from hiar.tiny.study import WEIGHTS_FILE
from hiar.training.run.monitor import DYNAMICS, read_lines

SCHEMA = "hiar-study/1"
COMMAND = ("python", "scripts/train_tiny.py", "--study")
OPTIONS = {
    "--seed": "base_seed", "--prompts": "num_prompts", "--ode-steps": "ode_steps",
    "--steps": "steps",
}  # fmt: skip
"""Options of the script, and the field of a study that each sets."""
MACHINE_KEYS = ("init", "teacher", "trajectories")
"""Settings that are paths on one machine; the hashes beside them identify the files."""


def export(run: StudyRun, study: StudyConfig, assets: Path) -> Path:
    """Write a distilled student among the assets, its record last.

    Args:
        run: Finished distillation of a model that has a folder there.
        study: Study that the run belongs to.
        assets: Folder of all tiny assets.

    Returns:
        The weights' path.
    """
    assert run.model is not None
    assert run.model.folder is not None
    folder = assets / run.model.folder
    path = folder / WEIGHTS_FILE
    save_rounded(run.out / EMA_WEIGHTS, path)
    facts = describe(run, study) | {"weights_sha256": file_sha256(path)}
    atomic_write_text(folder / RECORD, json.dumps(facts, indent=1) + "\n")
    return path


def save_rounded(weights: Path, path: Path) -> None:
    """Write weights in bfloat16, the form in which they ship."""
    rounded = {name: value.to(torch.bfloat16) for name, value in load_file(weights).items()}
    with atomic_path(path) as temporary:
        save_file(rounded, temporary)


def describe(run: StudyRun, study: StudyConfig) -> dict[str, Any]:
    """What a reader needs to make these weights again, and Fig. 4's points of this run."""
    assert run.model is not None
    record = _record(run.out)
    dynamics = run.out / DYNAMICS
    return {
        "schema": SCHEMA,
        "command": command_of(study),
        "row": run.model.row,
        "fills": list(run.model.fills),
        "seed": run.seed,
        "num_trajectories": study.num_prompts,
        "settings": _settings(record),
        "begins_as": _settings(_record(study.work / run.model.begins_as)),
        "steps": record["steps"],
        "processor_seconds_a_step": record["processor_seconds_a_step"],
        "loss_curve": record["loss_curve"],
        "dynamics": read_lines(dynamics) if dynamics.exists() else [],
        "provenance": record["provenance"],
    }


def command_of(study: StudyConfig) -> str:
    """The command line that makes this study again: what differs from the defaults."""
    default = StudyConfig(work=study.work)
    words = [*COMMAND, "--seeds", *map(str, study.seeds)]
    for option, name in OPTIONS.items():
        value = getattr(study, name)
        if value != getattr(default, name):
            words += [option, str(value)]
    if study.teacher != default.teacher:
        words += ["--teacher", "FILE"]  # a path of the machine; its hash is among the settings
    for change in study.changes:
        words += ["--set", change]
    return shlex.join(words)


def _record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return found


def _settings(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record["settings"].items() if name not in MACHINE_KEYS}
