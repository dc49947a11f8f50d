"""Line, step and parabola fits of segment values against numpy and brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.stats.shape import describe_shape

pytestmark = pytest.mark.numerics

segments = st.lists(st.floats(-100, 100), min_size=3, max_size=9)


@given(segments)
def test_fits_agree_with_numpy_and_brute_force(values):
    array, index = np.array(values), np.arange(len(values))
    total = np.square(array - array.mean()).sum()
    shape = describe_shape(values)
    assert shape.curvature == pytest.approx(np.polyfit(index, array, 2)[0], abs=1e-9)
    if np.ptp(array) < 1e-6:  # the ratio of two roundings says nothing
        return
    line = np.square(array - np.polyval(np.polyfit(index, array, 1), index)).sum()
    steps = [
        sum(np.square(part - part.mean()).sum() for part in (array[:k], array[k:]))
        for k in range(1, len(values))
    ]
    assert shape.line_r2 == pytest.approx(1 - line / total, abs=1e-9)
    assert shape.step_r2 == pytest.approx(1 - min(steps) / total, abs=1e-9)
    assert steps[shape.step_at - 1] == pytest.approx(min(steps), abs=1e-9 * total)


def test_kinds():
    assert describe_shape([0.3] * 5).kind == "flat"
    assert describe_shape([0.3] * 5).line_r2 is None
    assert describe_shape([1.0, 2.0, 3.1, 3.9, 5.0]).kind == "gradual"
    collapse = describe_shape([5.0, 5.1, 5.0, 1.0, 1.1])
    assert (collapse.kind, collapse.step_at) == ("sudden", 3)
    assert describe_shape([0.0, 4.0, 1.0, 3.0, 2.0]).kind == "irregular"


def test_a_parabola_has_its_coefficient_and_two_segments_have_none():
    assert describe_shape([0.5 * i**2 - i + 3 for i in range(5)]).curvature == pytest.approx(0.5)
    assert describe_shape([1.0, 2.0]).curvature is None
    assert describe_shape([0.1] * 5).curvature == 0
