"""The change between consecutive frames: closed forms, and batches do not matter."""

import numpy as np
import pytest

from drift.metrics.difference import difference
from drift.metrics.registry import METRICS


def flat(level: int) -> np.ndarray:
    return np.full((6, 8, 3), level, np.uint8)


def test_closed_forms():
    assert difference(flat(7), flat(7)) == 0
    assert difference(flat(250), flat(5)) == 245
    one = flat(0)
    one[2, 3, 1] = 72  # one channel of one of 48 pixels
    assert difference(flat(0), one) == 72 / 144


def test_it_is_the_mean_absolute_difference():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 33, 47, 3), dtype=np.uint8)
    assert difference(a, b) == pytest.approx(np.abs(a.astype(int) - b).mean(), rel=1e-12)


def test_a_pair_has_one_value_however_frames_come():
    frames = [flat(level) for level in (0, 3, 3, 10, 4)]
    whole = METRICS["difference"].new_metric()(frames)
    metric = METRICS["difference"].new_metric()
    parts = [value for frame in frames for value in metric([frame])]
    assert whole == parts == [3, 0, 7, 6]
