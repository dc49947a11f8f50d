"""`hiar doctor`: what this machine has and lacks, and what cannot run because of it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from hiar.cli.kernel_check import format_kernels
from hiar.cli.weights import add_folder_argument

SCHEMA = "hiar-doctor/1"
OK, FAILED = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `hiar doctor`."""
    parser.description = (
        "Show devices, memory, packages and weights; for what is missing, what it disables and "
        "how to get it. Exit code 1 if a required package is missing."
    )
    add_folder_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run `hiar doctor`."""
    from hiar.cli.diagnosis import examine, findings  # noqa: PLC0415
    from hiar.cli.kernel_check import examine_kernels  # noqa: PLC0415
    from hiar.weights.fetching import describe  # noqa: PLC0415
    from hiar.weights.local import find, weights_folder  # noqa: PLC0415
    from hiar.weights.releases import PARTS  # noqa: PLC0415

    folder = weights_folder(arguments.weights_dir)
    facts = examine(folder)
    weights = [describe(part, find(part.file, folder)) for part in PARTS]
    if facts["torch"]["version"]:
        facts["attention"] = examine_kernels()
    lines = findings(facts)
    broken = any(p["required"] and p["version"] is None for p in facts["packages"])
    if arguments.json:
        record = {"schema": SCHEMA, **facts, "weights": weights, "findings": lines}
        sys.stdout.write(json.dumps(record, indent=1) + "\n")
    else:
        sys.stdout.write("\n".join(format_page(facts, weights, lines)) + "\n")
    return FAILED if broken else OK


def format_page(
    facts: dict[str, Any], weights: list[dict[str, Any]], lines: list[str]
) -> list[str]:
    """The report for people."""
    machine, torch = facts["machine"], facts["torch"]
    page = [
        f"machine    {machine['platform']}, Python {machine['python']}, "
        f"{machine['processors']} processors, {machine['memory_bytes'] / 1e9:.0f} GB memory",
        f"torch      {torch['version'] or 'does not load'}, CUDA {torch.get('cuda') or 'none'}",
    ]
    page += [
        f"device     {device['name']}: {device['model']}, {device['memory_bytes'] / 1e9:.0f} GB, "
        f"{device['free_bytes'] / 1e9:.0f} GB free"
        for device in torch["devices"]
    ] or ["device     cpu only"]
    page += ["", "packages"]
    page += [
        f"  {package['name']:14} {package['version'] or 'missing':12} {package['enables']}"
        for package in facts["packages"]
    ]
    if "attention" in facts:
        page += ["", *format_kernels(facts["attention"])]
    free_gb = machine["disk_free_bytes"] / 1e9
    page += ["", f"weights in {machine['weights_folder']} ({free_gb:.0f} GB free on its disk)"]
    for row in weights:
        if row["present"]:
            page.append(f"  {row['name']:15} {row['num_bytes'] / 1e9:.2f} GB at {row['path']}")
        else:
            page.append(f"  {row['name']:15} missing: {row['enables']}")
            page.append(f"  {'':15} {row['address']} -> {row['target']}")
    page += ["", "to do" if lines else "nothing is missing"]
    return page + [f"  {line}" for line in lines]
