"""`hiar-vbench doctor`: which dimensions can run here, and what each lacks."""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from eval.cli.options import FAILED, OK, add_environment, environment_of
from eval.protocol.protocols import PROTOCOLS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-vbench doctor`."""
    parser.description = (
        "Import what upstream's dimensions import and look for their weights; takes about 20 s "
        "where there is an environment. Exit codes: 0 every dimension can run; 1 some cannot."
    )
    add_environment(parser)
    parser.add_argument(
        "--protocol",
        choices=tuple(PROTOCOLS),
        default="vbench",
        help="protocol whose dimensions are examined (default: vbench)",
    )
    parser.add_argument("--verify", action="store_true", help="compare weights with their hashes")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs `hiar-vbench doctor`."""
    from eval.cli.diagnosis import examine, steps_for  # noqa: PLC0415
    from eval.errors import IsolatedError  # noqa: PLC0415
    from eval.upstream.environment import inspect_environment  # noqa: PLC0415
    from eval.upstream.isolated_process import python_of  # noqa: PLC0415
    from eval.upstream.weights import weight_roots  # noqa: PLC0415

    protocol, environment = PROTOCOLS[arguments.protocol], environment_of(arguments)
    inspection, reason = None, "none; make it with: hiar-vbench setup"
    if python_of(environment).exists():
        with tempfile.TemporaryDirectory() as folder:
            try:
                steps = steps_for(protocol.dimensions, protocol)
                inspection = inspect_environment(environment, steps, Path(folder) / "inspect.log")
            except IsolatedError as error:
                reason = f"broken; repair it with: hiar-vbench setup ({error})"
    facts = examine(protocol, inspection, weight_roots(), hashed=arguments.verify)
    if arguments.json:
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(_page(facts, str(environment), reason)) + "\n")
    return FAILED if any(dimension["lacks"] for dimension in facts["dimensions"]) else OK


def _page(facts: dict[str, Any], environment: str, reason: str) -> list[str]:
    found = facts["environment"]
    page = [f"environment  {environment}"]
    if found is None:
        page.append(f"             {reason}")
    else:
        packages, gpus = found["packages"], found["cuda_devices"]
        page.append(
            f"             Python {found['python']}, vbench {packages.get('vbench', 'missing')}, "
            f"torch {packages.get('torch', 'missing')}, {gpus or 'no'} GPU{'s' * (gpus != 1)}"
        )
        page += [f"             damaged: {name}: {why}" for name, why in found["broken"].items()]
    page += ["", f"{'dimension':<24}{'runs here':<11}misses  (--protocol {facts['protocol']})"]
    for dimension in facts["dimensions"]:
        lacks = "; ".join(lack["what"] for lack in dimension["lacks"])
        page.append(f"{dimension['name']:<24}{'no' if lacks else 'yes':<11}{lacks}".rstrip())
    page += ["", f"{'weights':<20}{'state':<9}{'about MB':>9}  where it belongs"]
    page += [
        f"{w['name']:<20}{w['state']:<9}{w['megabytes']:>9g}  {w['detail'] or w['path']}"
        for w in facts["weights"]
    ]
    remedies = dict.fromkeys(
        lack["remedy"] for dimension in facts["dimensions"] for lack in dimension["lacks"]
    )
    fetch = "hiar-vbench weights fetch "
    weights = [remedy.removeprefix(fetch) for remedy in remedies if remedy.startswith(fetch)]
    todo = [remedy for remedy in remedies if not remedy.startswith(fetch)]
    if weights:
        todo.append(fetch + " ".join(weights))
    if found is None:
        todo.append("until then temporal_flickering: hiar-vbench run ... --in-process")
    elif not found["cuda_devices"]:
        todo.append("a GPU for a full run: on a CPU only temporal_flickering is quick")
    return page + ([""] if todo else []) + [f"to do: {line}" for line in todo]
