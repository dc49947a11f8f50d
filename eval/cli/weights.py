"""`hiar-vbench weights list | fetch | verify`: upstream's weights, where upstream looks."""

import argparse
import json
import sys
from dataclasses import asdict

from drift.errors import UsageError
from eval.cli.options import FAILED, OK
from eval.upstream.weights import WEIGHTS, WeightFile, check, find_weights, locate, weight_roots


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-vbench weights`."""
    parser.description = (
        "Weights lie below VBENCH_CACHE_DIR (~/.cache/vbench), TORCH_HOME (~/.cache/torch) and "
        "HF_HOME (~/.cache/huggingface), as upstream and its libraries have them."
    )
    parser.add_argument(
        "action", choices=("list", "fetch", "verify"),
        help="say what is here and what is missing, download it, or check what is here",
    )  # fmt: skip
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="weights or dimensions; none = all"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs `hiar-vbench weights`."""
    if arguments.action == "fetch" and not arguments.names:
        raise UsageError("name what to fetch, such as: hiar-vbench weights fetch imaging_quality")
    chosen = find_weights(arguments.names or WEIGHTS)
    if arguments.action == "fetch":
        return _fetch(chosen)
    roots, rows = weight_roots(), []
    for weight in chosen:
        state, detail = check(weight, roots, hashed=arguments.action == "verify")
        path = str(locate(weight, roots))
        rows.append(
            asdict(weight) | {"url": weight.address, "state": state, "path": path, "detail": detail}
        )
    if arguments.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        for row in rows:
            wrong = row["detail"] if row["state"] == "wrong" else row["path"]
            line = f"{row['name']:<20}{row['state']:<9}{row['megabytes']:>9g} MB  {wrong}"
            sys.stdout.write(line + "\n")
    bad = "missing", "wrong"
    failed = any(row["state"] in bad for row in rows)
    return FAILED if arguments.action == "verify" and failed else OK


def _fetch(chosen: tuple[WeightFile, ...]) -> int:
    from drift.metrics.weights.download import DownloadError  # noqa: PLC0415
    from eval.upstream.fetch import fetch  # noqa: PLC0415

    failed = 0
    for weight in chosen:
        try:
            done = fetch(weight, weight_roots())
            sys.stderr.write(f"{weight.name}: {'fetched' if done else 'there'}\n")
        except DownloadError as error:
            failed += 1
            sys.stderr.write(f"hiar-vbench: {weight.name}: {error}\n")
    return FAILED if failed else OK
