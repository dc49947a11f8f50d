"""Every metric has a class of the tests that all metrics pass."""

import re
from pathlib import Path

from drift.metrics.registry import METRICS

TESTER = re.compile(r'class \w+\((?:Metric|Parity)Tester\):\n    metric(?:, variant)? = "(\w+)"')


def test_every_metric_goes_through_the_tester():
    files = Path(__file__).parent.glob("test_*.py")
    tested = [name for path in files for name in TESTER.findall(path.read_text())]
    assert sorted(tested) == sorted(METRICS)
