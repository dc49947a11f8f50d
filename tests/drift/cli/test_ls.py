"""`drift ls`: every metric with its version, direction and licence."""

import json

from drift.metrics.registry import METRICS


def test_every_metric_is_listed_with_an_integer_version(command):
    code, out, _ = command("ls", "--json")
    assert code == 0
    listed = json.loads(out)
    assert listed["schema"] == "drift-metrics/1"
    entries = {entry["name"]: entry for entry in listed["metrics"]}
    assert list(entries) == list(METRICS)
    for name, entry in entries.items():
        assert type(entry["version"]) is int
        assert all(entry[key] for key in ("unit", "better", "source", "licence"))
        assert bool(entry["weights"]) == METRICS[name].learned
        assert all(weight["licence"] for weight in entry["weights"])


def test_the_table_names_every_metric(command):
    code, out, _ = command("ls")
    assert code == 0
    assert {line.split()[0] for line in out.split("\n\n")[0].splitlines()[1:]} == set(METRICS)
