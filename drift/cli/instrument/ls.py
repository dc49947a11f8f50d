"""`drift ls`: the metrics, with what a reader of a number needs to know about each."""

import argparse
import sys
from typing import Any

from drift.cli.layout import aligned
from drift.files import dump_json
from drift.metrics.registry import GROUPS, METRICS, MetricSpec
from drift.metrics.weights.local import WEIGHTS

SCHEMA = "drift-metrics/1"
CODE_LICENCE = "Apache-2.0"
"""Licence of this toolkit (LICENSE), and so of every metric that loads no weights."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = (
        "List the metrics with version, unit, direction, source, weights and licence. A version "
        "goes up whenever a value would change; runs of two versions are never compared."
    )


def run(arguments: argparse.Namespace) -> int:
    """Lists the metrics."""
    entries = [describe(spec) for spec in METRICS.values()]
    if arguments.json:
        sys.stdout.write(dump_json({"schema": SCHEMA, "metrics": entries}))
        return 0
    rows = [("metric", "version", "better", "groups", "unit")]
    rows += [
        (e["name"], str(e["version"]), e["better"], ", ".join(e["groups"]), e["unit"])
        for e in entries
    ]
    sys.stdout.write(aligned(rows) + "\n")
    for entry in entries:
        sys.stdout.write(f"{entry['name']}: {entry['source']}\n")
        for weight in entry["weights"]:
            sys.stdout.write(f"    {weight['variant']}: {weight['about']}\n")
            sys.stdout.write(f"        {weight['name']}, {weight['licence']}\n")
    return 0


def describe(spec: MetricSpec) -> dict[str, Any]:
    """Describes one metric as data for JSON."""
    return {
        "name": spec.name,
        "version": spec.version,
        "groups": [group for group, names in GROUPS.items() if spec.name in names],
        "unit": spec.unit,
        "slope_unit": spec.slope_unit,
        "better": spec.better,
        "rising": spec.labels[0],
        "falling": spec.labels[1],
        "source": spec.source,
        "licence": CODE_LICENCE,
        "weights": [
            {
                "variant": variant.name,
                "about": variant.about,
                "name": name,
                "licence": WEIGHTS[name].licence,
            }
            for variant in spec.variants
            for name in variant.weights
        ],
    }
