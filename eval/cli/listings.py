"""`hiar-vbench dimensions` and `hiar-vbench protocols`: print the two tables."""

import argparse
import json
import sys
from dataclasses import asdict

from eval.cli.options import OK
from eval.protocol.dimensions import DIMENSIONS, GROUP_WEIGHTS
from eval.protocol.protocols import PROTOCOLS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that both commands have."""
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")


def run_dimensions(arguments: argparse.Namespace) -> int:
    """Runs `hiar-vbench dimensions`."""
    if arguments.json:
        record = {
            "group_weights": GROUP_WEIGHTS,
            "dimensions": [asdict(dimension) for dimension in DIMENSIONS],
        }
        sys.stdout.write(json.dumps(record, indent=2) + "\n")
        return OK
    sys.stdout.write(f"{'dimension':<24}{'group':<10}{'weight':>6}  {'bounds':<19}{'needs'}\n")
    for d in DIMENSIONS:
        bounds = f"{d.low:.4f} .. {d.high:.4f}"
        sys.stdout.write(f"{d.name:<24}{d.group:<10}{d.weight:>6}  {bounds:<19}{d.needs}\n")
    return OK


def run_protocols(arguments: argparse.Namespace) -> int:
    """Runs `hiar-vbench protocols`."""
    if arguments.json:
        record = {name: asdict(protocol) for name, protocol in PROTOCOLS.items()}
        sys.stdout.write(json.dumps(record, indent=2) + "\n")
        return OK
    for protocol in PROTOCOLS.values():
        sys.stdout.write(f"{protocol.name:<20}{protocol.summary}\n")
    sys.stdout.write(
        "\nThe authors' rule: VBench below 5.0 s, VBench-Long from 5.0 s on. Prompts given to the "
        "model\n(short or extended), samples a prompt and the static filter are part of a "
        "protocol: say them in every table.\n"
    )
    return OK
