"""Random weights and Kendall's tau against scipy and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from drift.stats.sensitivity import kendall_tau, random_weight_scores, random_weights

pytestmark = pytest.mark.numerics

scores = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=12)


@given(scores)
def test_kendall_tau_is_that_of_scipy(rows):
    left, right = zip(*rows, strict=True)
    ours, theirs = kendall_tau(left, right), stats.kendalltau(left, right).statistic
    if np.isnan(theirs):
        assert ours is None
    else:
        assert ours == pytest.approx(theirs, abs=1e-12)


def test_weights_are_even_over_the_simplex_and_repeat():
    weights = random_weights(6)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert weights.min() >= 0
    # Dirichlet(1, ..., 1) of 6: mean 1/6, variance 5 / (36 * 7); 2000 draws, 4 standard errors.
    np.testing.assert_allclose(weights.mean(axis=0), 1 / 6, atol=4 * np.sqrt(5 / 252 / 2000))
    np.testing.assert_array_equal(weights, random_weights(6))


def test_scores_are_weighted_sums_of_drifts():
    drifts = np.random.default_rng(0).random((3, 4))
    expected = [[np.dot(row, w) for row in drifts] for w in random_weights(4)]
    np.testing.assert_allclose(random_weight_scores(drifts), expected)
    assert np.ptp(random_weight_scores([0.4] * 6)) < 1e-12  # equal drifts: weights cannot matter
