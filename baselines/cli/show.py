"""`hiar-baselines show`: all that is known about one model."""

import argparse
import json
import sys

from baselines.adapters.environments import environment_folder, missing_parts, recipe
from baselines.cli.describe import SCHEMA, describe, describe_field, speed_lines
from baselines.field.facts import NOT_KNOWN, FieldModel
from baselines.field.models import FIELD
from baselines.registry import find_model
from baselines.run.status import ModelStatus, check_model, count_gpus
from baselines.spec import ModelSpec
from baselines.wan_family import sampler_facts
from hiar.weights.local import weights_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-baselines show`."""
    parser.description = (
        "Show one model: its weights, lengths and settings, and the source of each value."
    )
    parser.add_argument("model", metavar="MODEL", help="name of a model, as `list` prints it")


def run(args: argparse.Namespace) -> int:
    """Prints the model."""
    for model in FIELD:
        if model.key == args.model:
            return _show_field(model, as_json=args.json)
    spec = find_model(args.model)
    status = check_model(spec, weights_folder(), count_gpus())
    if args.json:
        record = {"schema": SCHEMA, **describe(status)}
        sys.stdout.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        return 0
    sys.stdout.write("\n".join(format_model(status)) + "\n")
    return 0


def _show_field(model: FieldModel, *, as_json: bool) -> int:
    if as_json:
        record = {"schema": SCHEMA, **describe_field(model)}
        sys.stdout.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        return 0
    lines = [f"{model.label} ({model.key}): does not run here: {model.why_not}"]
    for name, fact in model.facts().items():
        source = f"  [{fact.source}]" if fact.source else ""
        lines.append(f"  {name}: {fact.value}{source}")
    sys.stdout.write("\n".join([*lines, *speed_lines(model.key)]) + "\n")
    return 0


def format_model(status: ModelStatus) -> list[str]:
    """Formats a model as lines of text."""
    spec = status.spec
    lines = [
        f"{spec.label} ({spec.key}): {status.verdict}",
        f"  {spec.kind}; runs by {spec.how}: {spec.entry}",
        f"  licence: {spec.licence}",
        f"  native: {spec.width_px} x {spec.height_px} px at {spec.fps} fps",
        f"  trained on: {_format_trained(spec)}",
        f"  20 s: {'yes' if spec.reaches_20_s else 'no, see the lengths'}",
        f"  chunk: {f'{spec.chunk_frames} frames' if spec.chunk_frames else 'none, whole videos'}",
    ]
    lines += ["", "lengths", *_format_lengths(spec)]
    lines += ["", "settings"]
    lines += [f"  {s.name}: {_format_value(s.value)}  [{s.source}]" for s in spec.settings]
    if sampler := sampler_facts(spec):
        lines += ["", "sampler"]
        lines += [f"  {k}: {_format_value(v)}" for k, v in sampler.items()]
    lines += ["", f"weights, revision {spec.revision}"]
    for weight in status.weights:
        lines.append(
            f"  {'present' if weight.present else 'missing'}  {weight.path or weight.target}"
        )
        for path, sha256 in weight.sha256.items():
            lines.append(f"           sha256 {sha256}  {path.rpartition('/')[2]}")
        if not weight.present:
            lines.append(f"           from {weight.file.address}")
    if status.num_present < len(status.weights):
        lines.append(f"  get them with: hiar-baselines fetch {spec.key}, which checks each file")
        lines.append("  against the hash that its publisher states")
    lines += _format_environment(status)
    lines += speed_lines(spec.key)
    if spec.notes:
        lines += ["", "notes", *(f"  {note}" for note in spec.notes)]
    return lines


def _format_trained(spec: ModelSpec) -> str:
    if spec.trained is None:
        return NOT_KNOWN
    return f"{spec.trained.num_frames} frames, {spec.trained_s:.2f} s  [{spec.trained.source}]"


def _format_lengths(spec: ModelSpec) -> list[str]:
    return [
        f"  {length.num_frames:>5} frames {f'{length.num_frames / spec.fps:.2f} s':>9}  "
        f"{length.setting}"
        for length in spec.lengths
    ]


def _format_environment(status: ModelStatus) -> list[str]:
    spec = status.spec
    program = spec.command or spec.code
    if program is None:
        return []
    folder = environment_folder(spec)
    state = "missing; these commands make it" if missing_parts(folder) else "present"
    why = "" if spec.command else " of the released code, which time --random-weights runs"
    lines = ["", f"environment{why}, {state}  [{program.environment.source}]"]
    lines += [f"  {line}" for line in recipe(program.environment, folder)]
    return [*lines, "", "command", f"  {' '.join(spec.command.argv)}"] if spec.command else lines


def _format_value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
