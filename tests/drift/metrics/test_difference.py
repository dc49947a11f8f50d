"""The change between consecutive frames."""

import itertools

import numpy as np
from metric_tester import ParityTester

from drift.metrics.difference import difference


class TestDifference(ParityTester):
    metric = "difference"
    still = 0.0

    def reference(self, frames):
        return [np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(frames)]


def flat(level: int) -> np.ndarray:
    return np.full((6, 8, 3), level, np.uint8)


def test_closed_forms():
    assert difference(flat(7), flat(7)) == 0
    assert difference(flat(250), flat(5)) == 245
    one = flat(0)
    one[2, 3, 1] = 72  # one channel of one of 48 pixels
    assert difference(flat(0), one) == 72 / 144
