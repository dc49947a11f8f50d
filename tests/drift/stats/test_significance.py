"""Sign-flip test against scipy and a plain loop; Holm, effect size and shares by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from drift.stats.significance import cohen_dz, holm, share_above, sign_flip_p

pytestmark = pytest.mark.numerics


def names(count: int) -> list[str]:
    return [f"p{i:03}" for i in range(count)]


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=8))
def test_exact_p_is_the_share_of_sign_patterns(differences):
    totals = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    expected = np.mean([total >= abs(sum(differences)) for total in totals])
    assert sign_flip_p(differences, names(len(differences))) == pytest.approx(expected)


def test_exact_p_is_that_of_scipy():
    values = np.random.default_rng(0).normal(0.4, 1.0, size=11)
    theirs = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", alternative="two-sided", n_resamples=np.inf
    )
    assert sign_flip_p(values, names(11)) == pytest.approx(theirs.pvalue, rel=1e-12)


def test_drawn_p_is_near_the_t_test_and_repeats():
    values = np.random.default_rng(1).normal(0.3, 1.0, size=60)
    ours = sign_flip_p(values, names(60))
    # The sign-flip test of normal data tends to the t-test; 100 000 draws leave 0.001.
    assert ours == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)
    assert ours == sign_flip_p(values[::-1], names(60)[::-1])


def test_videos_of_a_prompt_flip_together():
    # a has 1 + 2 + 2 = 5 and b has 1: the four patterns sum to 6, 4, 4 and 6 in size.
    assert sign_flip_p([1.0, 1.0, 2.0, 2.0], ["a", "b", "a", "a"]) == 0.5
    assert sign_flip_p([1.0, 1.0, 2.0], ["a", "a", "a"]) == 1.0


def test_no_difference_has_p_1():
    assert sign_flip_p([0.0] * 5, names(5)) == 1.0
    assert sign_flip_p([0.0] * 40, names(40)) == 1.0


def test_a_clear_difference_of_n_pairs_has_p_2_in_2_to_the_n():
    assert sign_flip_p([0.1, 0.2, 0.3, 0.15], names(4)) == 2 / 16


def test_the_test_keeps_its_level():
    # 400 experiments without a difference, 8 pairs: p <= 0.05 in at most 5 % (+ 3 standard errors).
    rng = np.random.default_rng(2)
    found = [sign_flip_p(rng.standard_t(3, size=8), names(8)) <= 0.05 for _ in range(400)]
    assert np.mean(found) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_holm_by_hand():
    # Sorted 0.01, 0.03, 0.04 times 3, 2, 1: 0.03, 0.06, then 0.04 raised to 0.06.
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.7, 0.6]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_starts_at_bonferroni(p_values):
    adjusted = holm(p_values)
    assert all(p <= value <= 1 for p, value in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)
    assert min(adjusted) == min(1.0, len(p_values) * min(p_values))


def test_effect_size_and_share_by_hand():
    assert cohen_dz([1.0, 2.0, 3.0]) == 2.0  # mean 2, standard deviation 1
    assert cohen_dz([0.5]) is None
    assert cohen_dz([0.5, 0.5]) is None
    assert share_above([1.0, -1.0, 2.0, 0.0]) == 2.5 / 4
