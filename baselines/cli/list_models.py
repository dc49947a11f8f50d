"""`hiar-baselines list`: every model in one line."""

import argparse
import json
import sys

from baselines.adapters.environments import environments_folder
from baselines.cli.describe import SCHEMA, describe, describe_field
from baselines.field.facts import FieldModel
from baselines.field.models import FIELD
from baselines.field.speeds import speeds_of
from baselines.lengths import format_lengths
from baselines.registry import MODELS
from baselines.run.status import ModelStatus, check_model, count_gpus
from hiar.weights.local import weights_folder

HOW = {
    "hiar engine": "hiar",
    "diffusers pipeline": "diffusers",
    "external command": "program",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-baselines list`, which has none but the common ones."""
    parser.description = (
        "List all models: what runs each, how long its videos are, and what is missing here."
    )


def run(args: argparse.Namespace) -> int:
    """Prints the table."""
    folder, num_gpus = weights_folder(), count_gpus()
    statuses = [check_model(spec, folder, num_gpus) for spec in MODELS]
    if args.json:
        record = {
            "schema": SCHEMA,
            "weights_folder": str(folder),
            "environments_folder": str(environments_folder()),
            "num_gpus": num_gpus,
            "models": [describe(status) for status in statuses],
            "field": [describe_field(model) for model in FIELD],
        }
        sys.stdout.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        return 0
    lines = [
        f"weights       {folder}",
        f"environments  {environments_folder()}",
        f"GPUs          {num_gpus or 'none'}",
        "",
        format_row("model", "group", "runs by", "seconds", "parts", "missing here"),
        *(_row(status) for status in statuses if status.spec.in_paper),
        "beyond the paper",
        *(_row(status) for status in statuses if not status.spec.in_paper),
        "known, not run here: published frames/s, and why",
        *(_field_row(model) for model in FIELD),
        "",
        "parts: files and folders of weights that exist. hiar-baselines show MODEL names each with",
        "its address and its place; hiar-baselines fetch MODEL downloads what is missing.",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _row(status: ModelStatus) -> str:
    spec = status.spec
    parts = f"{status.num_present}/{len(status.weights)}"
    ready = "nothing" if status.num_gpus else "nothing; CPU: hours each"
    missing = ", ".join(status.needs) or ready
    return format_row(spec.key, spec.kind, HOW[spec.how], format_lengths(spec), parts, missing)


def _field_row(model: FieldModel) -> str:
    speeds = ", ".join(f"{speed.fps:g}" for speed in speeds_of(model.key)) or "none"
    return f"{model.key:<25}{speeds:<25}{model.why_not}"


def format_row(model: str, group: str, how: str, seconds: str, parts: str, missing: str) -> str:
    """One line of at most 100 columns."""
    return f"{model:<25}{group:<15}{how:<10}{seconds:<18}{parts:<6}{missing}".rstrip()
