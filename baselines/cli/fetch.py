"""`hiar-baselines fetch`: the weights of models, each file checked against its published hash."""

import argparse

from baselines.registry import find_model
from baselines.spec import ModelSpec
from hiar.weights.local import weights_folder
from hiar.weights.releases import Part, WeightFile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-baselines fetch`."""
    parser.description = (
        "Download the missing weights of models, into the Hugging Face cache unless HIAR_WEIGHTS "
        "names a folder. Each file is checked against the hash that the hub states. Read the "
        "licences first (show)."
    )
    parser.add_argument(
        "models", nargs="+", metavar="MODEL", help="names of models, as `list` prints them"
    )


def run(args: argparse.Namespace) -> int:
    """Fetches every file that is missing."""
    from hiar.weights.fetching import fetch_groups  # noqa: PLC0415

    groups: dict[tuple[Part, ...], None] = {}
    for spec in map(find_model, args.models):
        parts = tuple(_part(file, spec) for file in spec.weights)
        alone = [(part,) for part in parts]
        groups |= dict.fromkeys([parts] if spec.release is None else alone)
    return fetch_groups(groups, weights_folder(), args)


def _part(file: WeightFile, spec: ModelSpec) -> Part:
    """A needed file in the form that `hiar` fetches."""
    return Part(
        key=f"{file.repo}/{file.path}".rstrip("/"),
        file=file,
        enables=f"model {spec.key}",
        licence=spec.licence,
    )
