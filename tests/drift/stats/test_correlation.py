"""Pearson and Spearman against scipy; what is undefined is None."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from drift.stats.correlation import pearson, ranks, spearman

pytestmark = pytest.mark.numerics

columns = st.lists(
    st.tuples(*[st.integers(-20, 20).map(float)] * 3), min_size=3, max_size=25
)  # small whole numbers: ties are common


@settings(max_examples=40)
@given(columns)
def test_correlations_are_those_of_scipy(rows):
    table = np.array(rows)
    assume((np.ptp(table, axis=0) > 0).all())
    for i in range(3):
        for j in range(3):
            left, right = table[:, i], table[:, j]
            assert pearson(rows)[i][j] == pytest.approx(stats.pearsonr(left, right)[0], abs=1e-9)
            assert spearman(rows)[i][j] == pytest.approx(stats.spearmanr(left, right)[0], abs=1e-9)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=20))
def test_ranks_are_those_of_scipy(values):
    np.testing.assert_array_equal(ranks(values), stats.rankdata(values))


def test_what_is_undefined_is_none():
    assert pearson([[1.0, 2.0], [2.0, 1.0]]) == [[None, None], [None, None]]
    constant = [[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]]
    assert pearson(constant) == spearman(constant) == [[1.0, None], [None, None]]


@given(columns)
def test_correlations_stay_within_one(rows):
    for line in pearson(rows) + spearman(rows):
        assert all(value is None or -1 <= value <= 1 for value in line)
