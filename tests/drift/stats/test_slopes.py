"""Slopes, slopes in every order, start-end contrast and VDE against closed forms and numpy."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from drift.stats.slopes import framepack_delta15, permuted_slopes, slope, vde

pytestmark = pytest.mark.numerics

numbers = st.floats(-1e3, 1e3, allow_nan=False)
series = st.lists(numbers, min_size=2, max_size=12)


@given(series)
def test_slope_is_that_of_polyfit_and_linregress(values):
    index = np.arange(len(values))
    # atol: polyfit solves by SVD, its error grows with the values (1e3 * 1e-12).
    assert float(slope(values)) == pytest.approx(np.polyfit(index, values, 1)[0], abs=1e-9)
    assert float(slope(values)) == pytest.approx(stats.linregress(index, values).slope, abs=1e-9)


@given(series)
def test_reversal_negates_the_slope_exactly(values):
    assert slope(values[::-1]) == -slope(values)


@given(numbers, st.integers(2, 12))
def test_equal_values_have_slope_exactly_0(value, n):
    assert slope([value] * n) == 0


@given(st.lists(numbers, min_size=5, max_size=5), st.floats(-10, 10), numbers)
def test_gain_scales_the_slope_and_offset_leaves_it(values, gain, offset):
    moved = gain * np.array(values) + offset
    assert float(slope(moved)) == pytest.approx(gain * float(slope(values)), abs=1e-8)


@pytest.mark.parametrize(("k", "factor"), [(1, 0.2), (2, 0.3), (3, 0.3), (4, 0.2)])
def test_a_step_of_height_h_has_slope_h_times_02_03_03_02(k, factor):
    h = 0.37
    values = [0.1] * k + [0.1 + h] * (5 - k)
    assert float(slope(values)) == pytest.approx(h * factor, rel=1e-12)


def test_five_segments_by_hand():
    # (2 (m5 - m1) + (m4 - m2)) / 10 = (2 * 6 + 3) / 10
    assert slope([1.0, 2.0, 9.0, 5.0, 7.0]) == 1.5


def test_slope_works_on_rows_and_refuses_one_value():
    np.testing.assert_array_equal(slope([[0, 1, 2], [5, 3, 1]]), [1.0, -2.0])
    with pytest.raises(ValueError, match="at least 2"):
        slope([1.0])


def test_permuted_slopes_enumerate_all_120_orders():
    values = [0.3, 0.1, 0.9, 0.4, 0.6]
    orders = [np.polyfit(range(5), order, 1)[0] for order in itertools.permutations(values)]
    assert permuted_slopes(values).shape == (120,)
    assert np.abs(permuted_slopes(values)).mean() == pytest.approx(np.abs(orders).mean(), rel=1e-9)
    assert not permuted_slopes([0.5] * 5).any()


@pytest.mark.parametrize(("segments", "times"), [(5, 2.381), (6, 2.695)])
def test_a_straight_line_is_no_further_above_its_own_noise_floor(segments, times):
    line = np.arange(segments) / segments
    assert slope(line) / np.abs(permuted_slopes(line)).mean() == pytest.approx(times, abs=1e-3)


def test_permuted_slopes_work_on_rows():
    rows = np.random.default_rng(2).normal(size=(3, 2, 5))
    together = permuted_slopes(rows)
    assert together.shape == (3, 2, 120)
    for i, j in itertools.product(range(3), range(2)):
        orders = [np.polyfit(range(5), order, 1)[0] for order in itertools.permutations(rows[i, j])]
        np.testing.assert_allclose(np.sort(together[i, j]), np.sort(orders), atol=1e-12)


def test_mean_square_of_permuted_slopes_has_its_closed_form():
    # Random order: Var(b) = s^2 / Sxx with s^2 the sample variance and Sxx = 10 for five segments.
    values = np.array([0.3, 0.1, 0.9, 0.4, 0.6])
    assert np.square(permuted_slopes(values)).mean() == pytest.approx(values.var(ddof=1) / 10)


def test_orders_of_many_segments_are_drawn_and_repeat():
    values = np.random.default_rng(1).normal(size=10)
    assert permuted_slopes(values).shape == (5040,)
    np.testing.assert_array_equal(permuted_slopes(values), permuted_slopes(values))
    # The mean square has a closed form (above); 5040 draws leave about 2 % of noise.
    expected = values.var(ddof=1) / (10 * 99 / 12)
    assert np.square(permuted_slopes(values)).mean() == pytest.approx(expected, rel=0.1)


def test_framepack_delta15_takes_the_floor_of_15_percent():
    values = [1.0, 3.0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 4.0, 8.0]  # 14 frames: 2 at each end
    assert framepack_delta15(values) == 4.0
    assert framepack_delta15([2.0, 5.0]) == 3.0


def test_vde_by_hand():
    # m = 2, then 3 in chunk 2 (weight 9) and 1 in chunk 10 (weight 1): (9 + 1) / 2.
    chunks = [2.0, 3.0, 2, 2, 2, 2, 2, 2, 2, 1.0]
    assert vde(np.repeat(chunks, 3)) == pytest.approx(5.0)
    assert vde([2.0] * 9) is None
    assert vde([0.0] * 10) is None
    assert vde([0.1] * 37) == 0  # chunks of 3 and 4 equal values round differently as plain means


@given(st.lists(st.floats(0.1, 10), min_size=10, max_size=40))
def test_vde_and_delta_are_finite_and_not_negative(values):
    error = vde(values)
    assert error is not None
    assert math.isfinite(error)
    assert error >= 0
    assert framepack_delta15(values) >= 0
