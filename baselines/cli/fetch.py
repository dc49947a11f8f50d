"""`hiar-baselines fetch`: the weights of models, each file checked against its published hash."""

import argparse

from baselines.registry import find_model
from baselines.spec import ModelSpec
from hiar.weights.local import weights_folder
from hiar.weights.releases import Part, WeightFile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-baselines fetch`."""
    parser.description = (
        "Download the missing weights of models. An interrupted download is resumed; each file is "
        "checked against the hash that the hub states. Read the licences first (show)."
    )
    parser.add_argument(
        "models", nargs="+", metavar="MODEL", help="names of models, as `list` prints them"
    )


def run(args: argparse.Namespace) -> int:
    """Fetches every file that is missing."""
    from hiar.weights.fetching import fetch_parts  # noqa: PLC0415

    specs = [find_model(key) for key in args.models]
    parts = {file: _part(file, spec) for spec in specs for file in spec.weights}
    return fetch_parts(tuple(parts.values()), weights_folder(), args)


def _part(file: WeightFile, spec: ModelSpec) -> Part:
    """A needed file in the form that `hiar` fetches."""
    return Part(
        key=f"{file.repo}/{file.path}".rstrip("/"),
        file=file,
        enables=f"model {spec.key}",
        licence=spec.licence,
    )
