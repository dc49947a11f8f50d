"""Sample sizes: against the exact t-test, against simulated experiments, and their own inverse."""

import numpy as np
import pytest
from scipy import stats

from drift.stats.power import (
    ALPHA,
    MIN_PROMPTS,
    POWER,
    deviation_draws,
    power,
    prompt_means,
    prompts_needed,
    smallest_difference,
)
from drift.stats.significance import sign_flip_p

pytestmark = pytest.mark.numerics

POINTS = 0.03
"""How far from nominal a simulated power may be; 4000 experiments have a deviation of 0.006."""


def exact_power(ratio: float, n: int, *, paired: bool) -> float:
    """Power of the two-sided t-test, from the noncentral t distribution."""
    freedom = n - 1 if paired else 2 * n - 2
    shift = ratio * np.sqrt(n if paired else n / 2)
    bound = stats.t.isf(ALPHA / 2, freedom)
    return stats.nct.sf(bound, freedom, shift) + stats.nct.cdf(-bound, freedom, shift)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("ratio", [0.1, 0.25, 0.5, 0.8])
def test_sample_sizes_are_those_of_the_exact_t_test(ratio, paired):
    n = prompts_needed(1.0, ratio, paired=paired)
    exact = next(n for n in range(MIN_PROMPTS, 3000) if exact_power(ratio, n, paired=paired) >= 0.8)
    assert abs(n - exact) <= 1
    for prompts in (10, 30, 100):
        known = exact_power(ratio, prompts, paired=paired)
        assert power(1.0, ratio, prompts, paired=paired) == pytest.approx(known, abs=0.015)


@pytest.mark.parametrize("difference", [0.85, 1.0])
def test_paired_power_against_simulated_comparisons(difference):
    """Skewed differences of prompts, tested as `drift compare` tests them."""
    rng = np.random.default_rng(0)
    shape = 4.0  # of a gamma distribution, whose skewness is 1
    n = prompts_needed(1.0, difference, paired=True)
    draws = (rng.gamma(shape, size=(4000, n)) - rng.gamma(shape, size=(4000, n))) / np.sqrt(8)
    names = [str(i) for i in range(n)]
    found = [sign_flip_p((row + difference).tolist(), names) < ALPHA for row in draws]
    assert np.mean(found) == pytest.approx(power(1.0, difference, n, paired=True), abs=POINTS)


def test_unpaired_power_against_simulated_comparisons():
    rng = np.random.default_rng(0)
    n = prompts_needed(2.0, 0.8, paired=False)
    first, second = 1.0 * rng.gamma(4.0, size=(2, 4000, n))  # deviation 2
    found = stats.ttest_ind(second + 0.8, first, axis=1).pvalue < ALPHA
    assert found.mean() == pytest.approx(POWER, abs=POINTS)


def test_the_smallest_difference_is_the_inverse():
    for n in (6, 11, 40, 300):
        smallest = smallest_difference(0.2, n)
        assert prompts_needed(0.2, smallest * (1 + 1e-9), paired=True) == n
        assert power(0.2, smallest, n, paired=True) == pytest.approx(POWER)


def test_five_prompts_show_nothing():
    differences = [1.0] * 5
    assert sign_flip_p(differences, list("abcde")) > ALPHA  # however large and even they are
    assert smallest_difference(0.1, 5) is None
    assert power(0.1, 100.0, 5, paired=True) == 0
    assert sign_flip_p([1.0] * 6, list("abcdef")) < ALPHA


def test_equal_differences_need_the_fewest_prompts():
    assert prompts_needed(0.0, 0.1, paired=True) == MIN_PROMPTS
    assert power(0.0, 0.1, MIN_PROMPTS, paired=False) == 1
    assert smallest_difference(0.0, 10) == 0


def test_videos_of_one_prompt_count_once():
    assert prompt_means([1, 3, 10], ["a", "a", "b"]).tolist() == [2, 10]


def test_the_bootstrap_deviation_surrounds_that_of_the_sample():
    values = np.random.default_rng(1).normal(size=40)
    low, high = np.percentile(deviation_draws(values), [2.5, 97.5])
    assert low < values.std(ddof=1) < high
    # A chi distribution with 39 degrees of freedom spreads by about 1 / sqrt(2 x 39).
    assert (high - low) / 3.92 == pytest.approx(values.std(ddof=1) / np.sqrt(78), rel=0.3)
