"""The ``hiar-baselines`` command."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from baselines.registry import MODELS, UnknownModelError, find_model
from baselines.spec import ModelSpec
from baselines.weights import WeightStatus, check_weights
from hiar.errors import UsageError
from hiar.weights import DEFAULT_FOLDER, ENVIRONMENT_VARIABLE, weights_folder

SCHEMA = "baselines/1"
EPILOG = f"""\
Weights are looked for in {DEFAULT_FOLDER}/<hub repository>/<file>; set {ENVIRONMENT_VARIABLE} for
another folder. Nothing is downloaded.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``hiar-baselines``.

    Args:
        argv: Arguments without the program's name; None reads the command line.

    Returns:
        The exit code: 0, or 2 for wrong use.
    """
    args = _build_parser().parse_args(argv)
    run: Callable[[argparse.Namespace], str] = args.run
    try:
        sys.stdout.write(run(args))
    except (UnknownModelError, UsageError) as error:
        if args.debug:
            raise
        sys.stderr.write(f"hiar-baselines: error: {error}\n")
        return 2
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hiar-baselines",
        description="The models that the paper compares.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="all models, and which weights are here")
    listing.add_argument("--json", action="store_true", help="print JSON, not a table")
    listing.set_defaults(run=_list_models)

    show = commands.add_parser("show", help="one model: weights, sizes, settings and sources")
    show.add_argument("model", metavar="MODEL", help="a model's key, as `list` prints it")
    show.add_argument("--json", action="store_true", help="print JSON, not text")
    show.set_defaults(run=_show_model)
    return parser


def _list_models(args: argparse.Namespace) -> str:
    folder = weights_folder()
    rows = [(spec, check_weights(spec, folder)) for spec in MODELS]
    if args.json:
        models = [_describe(spec, statuses) for spec, statuses in rows]
        return _dump({"schema": SCHEMA, "weights_folder": str(folder), "models": models})
    lines = [
        f"weights folder: {folder} (set {ENVIRONMENT_VARIABLE} for another)",
        "",
        f"{'model':<18}{'kind':<16}{'how':<20}{'longest':>9}{'20 s':>6}  weights",
    ]
    for spec, statuses in rows:
        longest = f"{spec.longest_s:.1f} s"
        reaches = "yes" if spec.reaches_20_s else "no"
        lines.append(
            f"{spec.key:<18}{spec.kind:<16}{spec.how:<20}{longest:>9}{reaches:>6}  "
            f"{_summarise(statuses)}"
        )
    lines += _list_missing([status for _, statuses in rows for status in statuses])
    return "\n".join(lines) + "\n"


def _summarise(statuses: Sequence[WeightStatus]) -> str:
    missing = sum(not status.present for status in statuses)
    return "present" if not missing else f"missing ({missing} of {len(statuses)})"


def _list_missing(statuses: Sequence[WeightStatus]) -> list[str]:
    """Formats each missing file once: several models share the base model's files."""
    missing = {status.target: status for status in statuses if not status.present}
    if not missing:
        return []
    return ["", "missing, address -> target:"] + [
        f"  {status.file.address} -> {target}" for target, status in missing.items()
    ]


def _show_model(args: argparse.Namespace) -> str:
    spec = find_model(args.model)
    statuses = check_weights(spec, weights_folder())
    if args.json:
        return _dump({"schema": SCHEMA, **_describe(spec, statuses)})
    return "\n".join(_format_model(spec, statuses)) + "\n"


def _format_model(spec: ModelSpec, statuses: Sequence[WeightStatus]) -> list[str]:
    lines = [
        f"{spec.label} ({spec.key})",
        f"  {spec.kind}; runs by {spec.how}: {spec.entry}",
        f"  licence: {spec.licence}",
        f"  native: {spec.width_px} x {spec.height_px} px at {spec.fps} fps",
        f"  20 s: {'yes' if spec.reaches_20_s else 'no, see the lengths'}",
        "",
        "lengths",
    ]
    for length in spec.lengths:
        duration = f"{length.num_frames / spec.fps:.2f} s"
        lines.append(f"  {length.num_frames:>5} frames {duration:>9}  {length.setting}")
    lines += ["", "settings"]
    lines += [f"  {s.name}: {s.value}  [{s.source}]" for s in spec.settings]
    if spec.distilled is not None:
        lines += ["", "sampler"]
        lines += [f"  {k}: {_format_value(v)}" for k, v in asdict(spec.distilled).items()]
    lines += ["", "weights"]
    for status in statuses:
        lines.append(f"  {'present' if status.present else 'missing'}  {status.target}")
        if not status.present:
            lines += [f"           from {status.file.address}", f"           {status.fetch}"]
    if spec.notes:
        lines += ["", "notes", *(f"  {note}" for note in spec.notes)]
    return lines


def _format_value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _describe(spec: ModelSpec, statuses: Sequence[WeightStatus]) -> dict[str, Any]:
    """Builds the JSON object of one model and its weights on this machine."""
    fields = asdict(spec)
    fields["weights"] = [
        {
            "repo": status.file.repo,
            "path": status.file.path,
            "address": status.file.address,
            "target": str(status.target),
            "fetch": status.fetch,
            "present": status.present,
        }
        for status in statuses
    ]
    for length in fields["lengths"]:
        length["seconds"] = length["num_frames"] / spec.fps
    return fields | {
        "repository": spec.repository,
        "reaches_20_s": spec.reaches_20_s,
        "weights_present": all(status.present for status in statuses),
    }


def _dump(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=2, default=_encode_path) + "\n"


def _encode_path(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
