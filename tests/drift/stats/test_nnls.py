"""Non-negative least squares against scipy and the conditions of the optimum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from drift.stats.nnls import nnls

pytestmark = pytest.mark.numerics


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(0, 6))
def test_solutions_are_those_of_scipy(seed, columns, extra):
    rng = np.random.default_rng(seed)
    matrix, target = rng.normal(size=(columns + extra, columns)), rng.normal(size=columns + extra)
    ours, (theirs, residual) = nnls(matrix, target), optimize.nnls(matrix, target)
    assert ours.min() >= 0
    assert np.linalg.norm(matrix @ ours - target) == pytest.approx(residual, abs=1e-9)
    np.testing.assert_allclose(ours, theirs, atol=1e-6 * max(1.0, np.abs(theirs).max()))


def test_an_inner_solution_is_least_squares_and_an_outer_one_is_on_the_edge():
    assert nnls([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]) == pytest.approx([1.0, 0.5])
    assert nnls(np.eye(2), [-1.0, 3.0]).tolist() == [0.0, 3.0]
    assert nnls(np.eye(2), [-1.0, -3.0]).tolist() == [0.0, 0.0]
