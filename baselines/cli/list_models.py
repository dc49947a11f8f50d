"""`hiar-baselines list`: every model in one line, and below it what its numbers rest on."""

import argparse
import json
import sys
import textwrap

from baselines.adapters.environments import environments_folder
from baselines.cli.describe import SCHEMA, describe, describe_field
from baselines.field.facts import NOT_KNOWN, FieldModel, PublishedSpeed
from baselines.field.models import FIELD
from baselines.field.speeds import speeds_of
from baselines.lengths import format_lengths
from baselines.registry import MODELS
from baselines.run.status import ModelStatus, check_model, count_gpus
from hiar.weights.local import weights_folder

WIDTH = 100
HOW = {"diffusers pipeline": "diffusers", "external command": "its own program"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-baselines list`, which has none but the common ones."""
    parser.description = (
        "List all models: what runs each, how long its videos are, what is missing here; then its "
        "licence, the length it was trained on, what a block sees and its published speeds."
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
        format_row("model", "runs by", "seconds", "parts", "missing here"),
        *(line for status in statuses if status.spec.in_paper for line in _rows(status)),
        "beyond the paper",
        *(line for status in statuses if not status.spec.in_paper for line in _rows(status)),
        "known, not run here, and why",
        *(line for model in FIELD for line in _field_rows(model)),
        "",
        "runs by: hiar with a word is the engine of this toolkit, with hiar sample --cache WORD.",
        "parts: files and folders of weights that exist. hiar-baselines show MODEL names each with",
        "its address and its place; hiar-baselines fetch MODEL downloads what is missing.",
        "published: frames/s that the authors state, none measured here (docs/baselines.md).",
        "What stands nowhere here of a model is not known.",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _rows(status: ModelStatus) -> list[str]:
    spec = status.spec
    parts = f"{status.num_present}/{len(status.weights)}"
    ready = "nothing" if status.num_gpus else "nothing; CPU: hours each"
    missing = ", ".join(status.needs) or ready
    sampler = spec.sampler
    how = f"hiar, {sampler.policy.name}" if sampler else HOW[spec.how]
    trained = NOT_KNOWN if spec.trained_s is None else f"{spec.trained_s:.2f} s"
    return [
        format_row(spec.key, how, format_lengths(spec), parts, missing),
        *_details(spec.key, spec.licence, trained, spec.sees),
    ]


def _field_rows(model: FieldModel) -> list[str]:
    return [
        f"{model.key:<25}{model.why_not}",
        *_details(model.key, model.licence.value, model.trained.value, model.context.value),
    ]


def _details(key: str, licence: str, trained: str, sees: str) -> list[str]:
    """Lines below a model's own: what is known of it, then its published speeds."""
    facts = (("licence", licence), ("trained on", trained), ("context", sees))
    known = " | ".join(f"{name}: {value}" for name, value in facts if value != NOT_KNOWN)
    return [
        line
        for text in (known, *map(_speed, speeds_of(key)))
        for line in textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="      ")
    ]


def _speed(speed: PublishedSpeed) -> str:
    answers = {"": speed.kind, "decoding inside: ": speed.decode, "text inside: ": speed.text}
    counts = ", ".join(f"{what}{said}" for what, said in answers.items() if said != "not said")
    return f"published {speed.fps:g}: {counts or 'what it counts is not said'}; {speed.hardware}"


def format_row(model: str, how: str, seconds: str, parts: str, missing: str) -> str:
    """One line of at most `WIDTH` columns."""
    return f"{model:<25}{how:<20}{seconds:<22}{parts:<6}{missing}".rstrip()
