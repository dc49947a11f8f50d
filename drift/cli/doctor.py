"""`drift doctor`: shows what is present and missing, and what each missing part disables."""

import argparse
import sys
from typing import Any

from drift.cli.networks import add_weights_dir
from drift.command_line import FAILED, OK
from drift.files import dump_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = (
        "Show packages, devices and weights. For each part that is missing, show what does not run "
        "without it and where it comes from. Exit code 1 if a package that every command needs is "
        "missing."
    )
    parser.add_argument(
        "--verify", action="store_true", help="also compare the weights with their hashes"
    )
    add_weights_dir(parser)


def run(arguments: argparse.Namespace) -> int:
    """Examines this machine and prints what was found."""
    from drift.cli.diagnosis import FOR_ALL, examine  # noqa: PLC0415  (no other command needs it)
    from drift.metrics.weights.local import weights_folder  # noqa: PLC0415

    facts = examine(weights_folder(arguments.weights_dir), hashed=arguments.verify)
    text = dump_json(facts) if arguments.json else "\n".join(_page(facts)) + "\n"
    sys.stdout.write(text)
    lacking = [p for p in facts["packages"] if p["version"] is None and p["disables"] == FOR_ALL]
    return FAILED if lacking else OK


def _page(facts: dict[str, Any]) -> list[str]:
    torch = facts["torch"]
    page = [
        f"machine    {facts['platform']}, Python {facts['python']}",
        f"downloads  {'forbidden by the environment' if facts['offline'] else 'allowed'}",
        *(
            f"device     {device['name']}: {device['model']}, bfloat16 "
            f"{'is fast' if device['bfloat16'] else 'is slow: float32 is used'}"
            for device in torch["devices"]
        ),
        *([] if torch["loads"] else [f"device     torch does not load: {torch['reason']}"]),
        "",
        "packages",
        *(
            f"  {package['name']:14} {package['version'] or 'missing':10} "
            + (f"without it: {package['disables']}" if package["version"] is None else "")
            for package in facts["packages"]
        ),
        "",
        "metrics",
        *(
            f"  {name:24} {'runs' if metric['runs'] else 'lacks ' + ', '.join(metric['lacks'])}"
            for name, metric in facts["metrics"].items()
        ),
        "",
        f"weights in {facts['weights_folder']}",
    ]
    for row in facts["weights"]:
        page.append(f"  {row['name']:14} {row['state']:8} {row['size_mib']:.3g} MiB")
        if row["state"] != "present":
            page.append(f"  {'':14} disables {', '.join(row['used_by'])}")
            page.append(f"  {'':14} {row['address']} -> {row['path']}")
    page += ["", "to do" if facts["todo"] else "nothing is missing"]
    return [line.rstrip() for line in page + [f"  {line}" for line in facts["todo"]]]
